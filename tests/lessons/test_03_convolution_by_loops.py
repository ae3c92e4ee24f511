"""Lesson 3: the figures of its text are those of its code."""

import numpy as np

from tests import naive


def test_the_hand_sized_case(lesson):
    three = lesson(3)
    x, kernel, y = (three.values[name] for name in ("x", "kernel", "y"))
    three.says("its left column counts −{:.0f} and its right column +{:.0f}", x[:3, 0].sum(), x[:3, 2].sum())
    three.says("−{:.0f} + {:.0f} = {:.0f}", x[:3, 1].sum(), x[:3, 3].sum(), y[0, 1])
    assert (y == naive.conv2d(x[None, :, :, None], kernel[:, :, None, None])[0, :, :, 0]).all()


def test_sizes(lesson):
    three = lesson(3)
    fit = three.values["windows_that_fit"]
    three.says("4 rows stay {} with k = 3, s = 1, p = 1; they become {} with s = 2", fit(4, 3, 1, 1), fit(4, 3, 2, 1))
    three.says("and 7 become {}", fit(7, 3, 2, 1))
    three.says("would remove 26 rows. An image of 28×28 would end as {0}×{0}.", three.values["rows"])


def test_counts_of_numbers(lesson):
    three = lesson(3)
    three.says("The edge detector has 3·3·3·2 + 2 = {} parameters.", three.values["own"])
    three.says("and has {:,} parameters", three.values["first"])
    three.says("{:.0f} *billion*", three.values["connected"] / 1e9)


def test_the_frame_of_zeros_is_the_strongest_edge(lesson):
    three = lesson(3)
    three.says("of the 100 strongest responses {} are on the border of the image", three.values["black_frame"])
    assert three.values["mean_frame"] < 20


def test_the_loops_are_a_convolution(lesson):
    rng = np.random.default_rng(1)
    x, weight, bias = rng.standard_normal((2, 7, 6, 2)), rng.standard_normal((3, 2, 2, 3)), rng.standard_normal(3)
    by_loops = lesson(3).values["conv_by_loops"](x, weight, bias, 2, 1)
    assert np.allclose(by_loops, naive.conv2d(x, weight, bias, 2, 1))
