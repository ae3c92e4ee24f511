"""Lesson 1: the figures of its text are those of its code."""

from pathlib import Path

import numpy as np

from scratchnet.evaluation import dice as packaged_dice


def test_the_hand_sized_case(lesson):
    one = lesson(1)
    values = one.values
    truth, prediction, nothing = values["truth"], values["prediction"], values["nothing"]
    right = int((truth == prediction).sum())
    one.says("Of {} pixels, 2 are missed and 2 are wrongly labelled as cell, so {} are correct", truth.size, right)
    one.says("misses 4, so 16 are correct: {:.2f}.", values["accuracy"](truth, nothing))
    assert values["accuracy"](truth, prediction) == values["accuracy"](truth, nothing)
    intersection, union = values["intersection_and_union"](truth, prediction)
    one.says("There are {} of them, the *union*", union)
    one.says("The ratio {}/{} is the", intersection, union)
    one.says("2·2 / (4 + 4) = {:.2f}", values["dice"](truth, prediction))
    one.says("The {} cell pixels that were found are *true positives* (TP), the {} that", values["tp"], values["fn"])
    one.says("and the {} that were wrongly labelled as cell *false positives*", values["fp"])
    one.says("the predicted cell that is right, here {:.2f}.", values["precision"])
    one.says("the true cell that was found, also {:.2f}.", values["recall"])


def test_the_smears(lesson):
    one = lesson(1)
    values = one.values
    masks, found = values["masks"], values["found"]
    one.says("has {} images of blood", len(masks))
    one.says("Cells cover a share of {:.3f} of all pixels", values["share"])
    one.says("an accuracy of {:.3f}.", values["lazy"])
    one.says("With t = {} the accuracy is {:.2f}", values["t"], values["accuracy"](masks, found))
    one.says("Yet the IoU is only {:.2f}", values["together"])
    one.says("Here it is {:.2f} instead of {:.2f}", values["mean_of_images"], values["together"])
    one.says("The accuracy starts at {:.2f}, where nothing is found", values["accuracies"][0])
    one.says("reaches {:.2f} at most.", values["accuracies"].max())
    assert values["ious"][0] == 0
    assert values["accuracies"].max() < values["lazy"] + 0.1
    assert values["ious"].max() < 0.45


def test_the_report_that_is_cited(lesson):
    results = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    assert "an accuracy of 0.8939" in results
    assert "| all background | 0.8157 | 0.0000 |" in results
    assert "(green ≤ 112) | 0.8772 | 0.4722 |" in results
    lesson(1).says(
        "an accuracy of {} for predicting no cells at all, and an accuracy of {} with an IoU of {}",
        0.8157,
        0.8772,
        0.4722,
    )
    lesson(1).says("gives an accuracy of {:.2f} on such images and no other measure", 0.8939)


def test_small_objects(lesson):
    one = lesson(1)
    one.says("the IoU is still {:.2f}; with a radius of 3 it is {:.2f}", one.values["large"], one.values["small"])


def test_dice_is_the_packages(lesson):
    rng = np.random.default_rng(1)
    truth, prediction = rng.integers(0, 2, (2, 9, 9))
    assert lesson(1).values["dice"](truth, prediction) == packaged_dice(truth, prediction)
