"""Lesson 8: the figures of its text are those of its code."""

import numpy as np


def test_the_gradients_agree(lesson):
    assert lesson(8).values["worst"] < 1e-8


def test_the_switches_come_from_the_map_before_pooling(lesson):
    values = lesson(8).values
    maxima = values["pooled"][0, :, :, 0]
    assert maxima.tolist() == [[5, 6], [7, 8]]
    places = np.argwhere(values["by_hand"]["switches"])
    assert values["before_pooling"][tuple(places.T)].tolist() == [6, 5, 7, 8]


def test_the_text_names_every_error(lesson):
    eight = lesson(8)
    error = eight.values["error"]
    eight.says("better than a map of zeros, with an error of {:.0f} %", error["bed of nails"])
    eight.says("at the right position, but the error is still {:.0f} %", error["switches"])
    eight.says("Copies have {:.0f} %", error["nearest"])
    eight.says("usually are, has {:.0f} %", error["learned 2×2"])
    eight.says("which combine neighbouring values, reach {:.0f} %", error["learned 4×4"])
    eight.says("fills the holes: {:.0f} %", error["switches, then learned 3×3"])
    assert min(error, key=error.get) == "switches, then learned 3×3"


def test_nails_wander(lesson):
    eight = lesson(8)
    eight.says("comes back {} rows too high", eight.values["rows_off"])
