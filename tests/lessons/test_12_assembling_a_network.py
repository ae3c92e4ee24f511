"""Lesson 12: the figures of its text are those of its code."""

import numpy as np


def test_gradients_of_a_value_used_twice_are_added(lesson):
    twelve = lesson(12)
    assert twelve.values["by_hand"].forward(3.0) == 15
    assert twelve.values["by_hand"].backward(1.0) == 8
    twelve.says("It gives {:.0f}.", twelve.values["forgotten"])


def test_the_text_names_the_first_losses(lesson):
    twelve = lesson(12)
    twelve.says("{:.2f} for two classes, {:.2f} for 5, {:.2f} for 21", *np.log([2, 5, 21]))
    for classes, loss in twelve.values["first_losses"].items():
        assert abs(loss - np.log(classes)) < 0.02


def test_the_whole_network_passes_the_gradient_check(lesson):
    report = lesson(12).values["report"]
    assert report.ok
    assert report.worst.error < 1e-5


def test_one_image_is_learned_by_heart(lesson):
    twelve = lesson(12)
    values = twelve.values
    twelve.says("It has {} parameters", values["count"])
    twelve.says("After 20 steps {:.0f} % of the pixels are right, and the IoU is {:.2f}", 100 * values["early"][0], 0)
    twelve.says("predicting only background also gives {:.0f} %", 100 * values["ground"])
    assert values["early"][1] == 0
    twelve.says("After 120 steps more than 99.8 % are right")
    assert values["late"][0] > 0.998


def test_overfitting_does_not_see_wrong_labels(lesson):
    assert lesson(12).values["mirrored"] > 0.97
