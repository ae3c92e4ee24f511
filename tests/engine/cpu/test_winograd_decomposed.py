"""Large kernels as a sum of 3×3 ones by Winograd: all three passes against loops."""

import numpy as np
import pytest

from scratchnet.engine.cpu import winograd, winograd_decomposed
from scratchnet.engine.cpu.conv_algorithm import MIN_PIECE_CHANNELS
from scratchnet.engine.modes import precise
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.geometry import ConvSpec
from tests import naive
from tests.compare import assert_close, numbers

# n, h, w, kernel, padding
CASES = {
    "7×7": (2, 9, 8, (7, 7), (3, 3)),
    "5×5": (1, 8, 7, (5, 5), (2, 2)),
    "6×6 unpadded": (1, 9, 10, (6, 6), (0, 0)),
    "uneven": (2, 8, 9, (3, 5), (1, 2)),
    "padding over the kernel": (1, 4, 5, (5, 4), (5, 6)),
    "kernel over the map": (1, 3, 4, (7, 7), (3, 3)),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize("case", CASES)
def test_it_agrees_with_loops(cores, case, tile, count):
    cores(count)
    n, h, w, kernel, padding = CASES[case]
    conv = ConvSpec(kernel, (1, 1), padding, (1, 1), 1)
    x, weight, bias = numbers(n, h, w, 3), numbers(*kernel, 3, 4, seed=1), numbers(4, seed=2)
    dy = numbers(n, *conv.output_size(h, w), 4, seed=3)
    y = winograd_decomposed.convolve(x, weight, bias, conv, dy.shape[1:3], tile)
    assert_close(y, naive.conv2d(x, weight, bias, padding=padding))
    _, dweight, _ = naive.conv2d_backward(dy, x, weight, padding=padding)
    assert_close(winograd_decomposed.weight_gradient(dy, x, weight, conv, tile), dweight)


def test_it_is_what_a_large_kernel_uses(monkeypatch):
    c = MIN_PIECE_CHANNELS
    x, weight = numbers(1, 44, 44, c, dtype=np.float32), numbers(5, 5, c, c, seed=1, dtype=np.float32)
    used = []
    for name in ("conv3x3", "conv3x3_weight_gradient"):
        original = getattr(winograd, name)
        monkeypatch.setattr(
            winograd, name, lambda *a, original=original, name=name: (used.append(name), original(*a))[1]
        )
    y = conv2d(x, weight, padding=2)
    dx, dweight, _ = conv2d_backward(y, x, weight, padding=2)
    assert used == ["conv3x3"] * 4 + ["conv3x3_weight_gradient"] * 4 + ["conv3x3"] * 4
    with precise():
        expected = conv2d_backward(y, x, weight, padding=2)
    assert_close(dx, expected[0], np.float32, 5)
    assert_close(dweight, expected[1], np.float32, 5)
