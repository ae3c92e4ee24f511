"""Lesson 4: the figures of its text are those of its code."""

import numpy as np

from tests import naive


def test_the_hand_sized_case(lesson):
    four = lesson(4)
    four.says("the first is {:.0f} = 1·1 + 2·2 + 4·3 + 5·4.", four.values["answers"][0])
    four.says("so it appears {} times; the 1 in the corner appears once", four.values["middle"])
    assert four.values["corner"] == 1


def test_memory(lesson):
    four = lesson(4)
    four.says("that is {:.1f} MB per image", four.values["image_mb"])
    four.says("its matrix has {:.1f} MB", four.values["columns_mb"])
    four.says("3·3·16 = {}.", 3 * 3 * four.values["filters"].shape[2])


def test_bytes_wrap_round(lesson):
    four = lesson(4)
    four.says("add up to {:.0f}, but bytes give {}", four.values["in_floats"], four.values["in_bytes"])


def test_convolutions_agree(lesson):
    rng = np.random.default_rng(2)
    x, weight = rng.standard_normal((2, 8, 7, 2)), rng.standard_normal((3, 2, 2, 3))
    expected = naive.conv2d(x, weight, None, 3, 2)
    values = lesson(4).values
    for name in ("conv_by_loops", "conv"):
        assert np.allclose(values[name](x, weight, 3, 2), expected)
    kernel = rng.standard_normal((3, 5, 2, 4))
    assert np.allclose(values["conv_in_blocks"](x, kernel, 3)[0], naive.conv2d(x, kernel, None, 1, (1, 2)))
