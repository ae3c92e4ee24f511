"""Lesson 10: the figures of its text are those of its code."""

import numpy as np


def test_the_text_names_the_unevenness(lesson):
    ten = lesson(10)
    uneven = ten.values["uneven"]
    ten.says("phases that differ by {:.0f} % of their mean", uneven["3×3, all ones"])
    ten.says("random one of 4×4 still has {:.0f} %", uneven["4×4, random"])
    ten.says("They differ by {:.0f} %", ten.values["mismatched"])


def test_the_text_names_what_the_start_is_worth(lesson):
    ten = lesson(10)
    chance, tent = ten.values["curves"]["random"], ten.values["curves"]["bilinear"]
    ten.says("The tent has an error of {:.1f} %", tent[0])
    errors = (chance[step] for step in (0, 30, 200))
    ten.says("begins at {:.1f} % and has {:.1f} % after 30 steps and {:.1f} % after 200", *errors)
    assert chance[200] > tent[0]
    uneven = ten.values["uneven"]["4×4, random"]
    ten.says("from {:.0f} % of unevenness to {:.1f} %", uneven, ten.values["after"]["random"])


def test_a_bilinear_kernel_keeps_a_constant(lesson):
    values = lesson(10).values
    kernel = np.outer(values["tent"](4), values["tent"](4))
    assert values["unevenness"](kernel, 2) < 1e-12
    assert values["difference"] < 1e-12
