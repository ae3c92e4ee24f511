"""Dilated convolutions by Winograd on every d-th pixel: all three passes against loops."""

import numpy as np
import pytest

from scratchnet.engine.cpu import dilated, winograd
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.geometry import ConvSpec
from tests import naive
from tests.compare import assert_close, numbers

# n, h, w, padding, dilation
CASES = {
    "same size": (2, 12, 10, (2, 2), (2, 2)),
    "unpadded": (1, 11, 13, (0, 0), (2, 2)),
    "padding that is no multiple": (1, 11, 12, (1, 2), (3, 3)),
    "padding over the dilation": (1, 9, 10, (5, 7), (2, 3)),
    "phases of different sizes": (2, 13, 11, (3, 3), (3, 3)),
    "across only": (1, 6, 9, (1, 2), (1, 2)),
    "more phases than rows": (1, 3, 4, (5, 5), (5, 5)),
}


def problem(case, dtype):
    n, h, w, padding, d = CASES[case]
    conv = ConvSpec((3, 3), (1, 1), padding, d, 1)
    x, weight = numbers(n, h, w, 4, dtype=dtype), numbers(3, 3, 4, 5, seed=1, dtype=dtype)
    return x, weight, conv, numbers(n, *conv.output_size(h, w), 5, seed=2, dtype=dtype)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize("case", CASES)
def test_it_agrees_with_loops(cores, case, tile, count):
    cores(count)
    x, weight, conv, dy = problem(case, np.float64)
    settings = {"padding": conv.padding, "dilation": conv.dilation}
    bias = numbers(5, seed=3)
    y = dilated.convolve(x, weight, bias, conv, dy.shape[1:3], tile)
    assert_close(y, naive.conv2d(x, weight, bias, **settings))
    dx, dweight, _ = naive.conv2d_backward(dy, x, weight, **settings)
    assert_close(dilated.weight_gradient(dy, x, conv, tile), dweight)
    down, across = (2 * d - p for d, p in zip(conv.dilation, conv.padding, strict=True))
    if min(down, across) >= 0:
        back = ConvSpec((3, 3), (1, 1), (down, across), conv.dilation, 1)
        assert_close(dilated.convolve(dy, weight, None, back, x.shape[1:3], tile, flipped=True), dx)


def test_it_is_what_a_dilated_convolution_uses(monkeypatch):
    x, weight = numbers(1, 28, 28, 8, dtype=np.float32), numbers(3, 3, 8, 8, seed=1, dtype=np.float32)
    settings = {"padding": 2, "dilation": 2}
    maps = []
    for name in ("convolve", "weight_gradient"):
        original = getattr(winograd, name)
        monkeypatch.setattr(winograd, name, lambda x, *a, original=original: (maps.append(len(x)), original(x, *a))[1])
    y = conv2d(x, weight, **settings)
    conv2d_backward(y, x, weight, **settings)
    assert maps == [4, 4, 4]  # one image is four phases
