"""Lesson 15: the figures of its text are those of its code."""

import numpy as np


def test_one_number_unfolds(lesson):
    fifteen = lesson(15)
    sparse, dense = (np.count_nonzero(fifteen.values[name]) for name in ("sparse", "dense"))
    fifteen.says("From {} places to all {}.", sparse, dense)


def test_fc6_and_its_transpose_are_the_matrix_and_its_transpose(lesson):
    assert lesson(15).values["worst"] < 1e-10


def test_the_text_says_where_the_numbers_sit(lesson):
    fifteen = lesson(15)
    values = fifteen.values
    fifteen.says("{:,} parameters. fc6 alone has {:,} weights", values["total"], values["fc6"])
    middle = values["parts"]["fc"]
    fifteen.says("hold {:.1f} million, {:.0f} %", middle / 1e6, 100 * middle / values["total"])
    fifteen.says("DeconvNet has {} layers with weights", values["layers"])
    fifteen.says("are {:.1f} GB, and training needs at least {:.1f} GB", *values["gigabytes"])


def test_unpooling_leaves_a_quarter_at_most(lesson):
    filled = lesson(15).values["filled"]
    for level in (4, 3, 2, 1):
        assert 0 < filled[f"unpool{level}"] <= 0.25
        assert filled[f"deconv{level}_2_relu"] > 0


def test_values_land_where_the_switches_point(lesson):
    landed = lesson(15).values["landed"]
    assert landed["A", "A"] == landed["mixed", "B"] == 1
    assert landed["A", "B"] < 0.6
    assert landed["mixed", "A"] < 0.6


def test_what_was_seen_stays_the_same(lesson):
    values = lesson(15).values
    assert (values["mixed"]["fc6-deconv_relu"] == values["own"]["fc6-deconv_relu"]).all()
    assert not np.allclose(values["mixed"]["score"], values["own"]["score"])
