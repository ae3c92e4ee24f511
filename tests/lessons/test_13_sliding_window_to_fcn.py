"""Lesson 13: the figures of its text are those of its code."""

import numpy as np


def test_windows_and_one_pass_agree(lesson):
    assert lesson(13).values["worst"] < 1e-12


def test_the_text_says_what_is_saved(lesson):
    lesson(13).says("{:.1f} times fewer", lesson(13).values["saved"])
    lesson(13).says("{:.1f} times fewer multiplications", lesson(13).values["one_apart"])
    lesson(13).says("{} of their 16 columns", lesson(13).values["WINDOW"] - 2)
    lesson(13).says("{:,} such windows", lesson(13).values["side"] ** 2)


def test_the_text_says_what_a_score_sees(lesson):
    lesson(13).says("{} pixels, no matter", lesson(13).values["length"])


def test_finer_maps_can_be_better(lesson):
    averaged = lesson(13).values["averaged"]
    assert averaged[32] < averaged[16] < averaged[8] < averaged[4]
    lesson(13).says("an IoU of only {:.2f}, with one every 4 pixels {:.2f}", averaged[16], averaged[4])


def test_the_columns_of_the_figure_have_one_spacing_each(lesson):
    axes = lesson(13).values["axes"]
    for column in (1, 2, 3):
        above, below = (axes[row + column].get_title() for row in (0, 4))
        spacing = f"1/{[16, 8, 4][column - 1]}:"
        assert spacing in above
        assert spacing in below


def test_adam_by_hand_makes_equal_first_steps(lesson):
    thirteen = lesson(13)
    first = thirteen.values["adam_by_hand"](np.zeros(3), thirteen.values["unequal"][:1], 0.005)
    assert np.allclose(first, -0.005)
    thirteen.says(
        "Gradients of {:.0f}, {:.0f} and {} all lead to a first step of 0.005", *thirteen.values["unequal"][0]
    )
