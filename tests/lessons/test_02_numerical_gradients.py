"""Lesson 2: the figures of its text are those of its code."""

import numpy as np


def test_the_hand_sized_case(lesson):
    two = lesson(2)
    values = two.values
    two.says(
        "falls from {:.2f} to {:.2f}, by {:.1f}", values["below"], values["above"], values["below"] - values["above"]
    )
    two.says("That is −{:.0f} per unit", -values["central"])
    two.says("gives −{:.1f}:", -values["one_sided"])
    two.says("*w* is {:.2f} (rounded)", values["w"])
    assert len(values["way"]) == 6


def test_backpropagation_by_hand(lesson):
    two = lesson(2)
    h, a, p, loss = two.values["forward_values"]
    slopes = two.values["slopes"]
    two.says("−8·1·2 = −{:.0f}, the slope that we know", -two.values["dw"])
    two.says("h = {:.0f}, a = {:.0f}, p = {:.0f}, L = {:.0f}.", h, a, p, loss)
    two.says("with respect to p: dp = {:.0f};", slopes["p"])
    two.says("dw₂ = 4·3 = {:.0f} and da = 4·4 = {:.0f};", slopes["w2"], slopes["a"])
    two.says("dh = 16·1 = {:.0f}", slopes["h"])
    two.says("dw₁ = 16·2 = {:.0f}", slopes["w1"])
    two.says(
        "makes w₁ {:.2f} and w₂ {:.2f}, and the loss falls from {:.0f} to {:.2f}",
        *(two.values[name] for name in ("w1", "w2")),
        loss,
        two.values["stepped"],
    )


def test_the_best_steps(lesson):
    values = lesson(2).values
    steps, curves = values["steps"], values["curves"]
    lesson(2).says("``float64`` the best step is near 10⁻⁵")
    lesson(2).says("``float32`` the best step is near 10⁻²")
    double, single = curves["float64", 2], curves["float32", 2]
    assert np.isclose(steps[double.argmin()], 1e-5)
    assert np.isclose(steps[single.argmin()], 1e-2)
    lesson(2).says("right to ten digits. With 10⁻¹³ it is right to three.")
    assert 1e-11 < double.min() < 1e-10
    assert 1e-4 < double[13] < 1e-3
    lesson(2).says("no step gives more than five digits")
    assert 5e-6 < single.min() < 1e-4
    lesson(2).says("wrong by some tenths of a percent")
    assert 0.1 < values["careless"] < 1


def test_errors_fall_as_the_text_says(lesson):
    curves = lesson(2).values["curves"]
    for sides in (1, 2):
        falls = np.diff(np.log10(curves["float64", sides][:4]))
        assert np.allclose(falls, -sides, atol=0.25)


def test_counts_and_kinks(lesson):
    two = lesson(2)
    two.says("has {0:,} parameters, which means {1:,} forward passes", two.values["numbers"], 2 * two.values["numbers"])
    two.says("at x = 3·10⁻⁶ it gives {:.2f}", two.values["mixture"])


def test_the_blood_cell_network_has_as_many_parameters(lesson):
    from scratchnet.models import build

    parameters = build("bloodcell", classes=2).parameters().values()
    assert sum(np.prod(parameter.shape) for parameter in parameters) == lesson(2).values["numbers"]
