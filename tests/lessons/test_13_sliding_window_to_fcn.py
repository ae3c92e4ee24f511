"""Lesson 13: the figures of its text are those of its code."""

import numpy as np


def test_windows_and_one_pass_agree(lesson):
    assert lesson(13).values["worst"] < 1e-12


def test_the_text_says_what_is_saved(lesson):
    lesson(13).says("{:.1f} times fewer", lesson(13).values["saved"])
    lesson(13).says("{} of their 16 columns", lesson(13).values["WINDOW"] - 2)
    lesson(13).says("{:,} such windows", lesson(13).values["side"] ** 2)


def test_the_text_says_what_a_score_sees(lesson):
    lesson(13).says("{} pixels, no matter", lesson(13).values["length"])


def test_finer_maps_can_be_better(lesson):
    best = lesson(13).values["best"]
    assert best[32] < best[16] < best[8] < best[4]


def test_adam_by_hand_makes_equal_first_steps(lesson):
    thirteen = lesson(13)
    first = thirteen.values["adam_by_hand"](np.zeros(3), thirteen.values["unequal"][:1], 0.005)
    assert np.allclose(first, -0.005)
    thirteen.says(
        "Gradients of {:.0f}, {:.0f} and {} all lead to a first step of 0.005", *thirteen.values["unequal"][0]
    )
