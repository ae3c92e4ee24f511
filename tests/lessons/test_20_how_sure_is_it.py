"""Lesson 20: the figures of its text are those of its code."""

import numpy as np

from scratchnet.layers import Dropout


def test_the_text_follows_the_four_values(lesson):
    twenty = lesson(20)
    y = twenty.values["y"]
    twenty.says("The result is {:.0f}, {:.0f}, {:.0f}, {:.0f}, with the sum {:.0f}", *y, y.sum())
    assert y.sum() == twenty.values["x"].sum()
    assert len(twenty.values["all_masks"]) == 16
    np.testing.assert_array_equal(twenty.values["mean_plain"], twenty.values["x"] / 2)


def test_the_text_follows_the_three_pixels(lesson):
    twenty = lesson(20)
    total, each, information = (twenty.values[name] for name in ("total", "each", "information"))
    twenty.says("ln 2 = {:.3f}", total[1])
    twenty.says("It is {:.3f} for the second pixel and for the third", total[2])
    twenty.says("{:.3f} is their own doubt, and the rest, {:.3f}, is disagreement", each[2], information[2])
    np.testing.assert_allclose(information[:2], 0, atol=1e-12)


def test_the_text_says_the_gaps_of_four_pixels(lesson):
    lesson(20).says("0.9 − 0.5 = {0:.1f} and 1 − 0.6 = {0:.1f}", lesson(20).values["four"])


def test_our_functions_are_the_packages(lesson):
    values = lesson(20).values
    assert values["worst"] < 1e-8
    assert max(values["differences"]) < 1e-5
    assert values["variance"].max() > 1e-6


def test_only_one_of_the_networks_drops_anything(lesson):
    values = lesson(20).values
    assert len(values["dropping"].dropouts()) == 4
    assert values["plain"].dropouts() == {}
    assert not any(s.layer.training for s in values["dropping"].steps if isinstance(s.layer, Dropout))


def test_every_measure_is_compared_with_the_errors(lesson):
    values = lesson(20).values
    assert len(values["caught"]) == len(values["correlation"]) == 3
    assert all(0 <= share <= 1 for share in values["caught"].values())
    assert len(values["errors"]) == 3
    assert set(values["table"]) == {"colour", "grey"}
