"""What Winograd's form promises of blank regions: zeros stay zeros, and the output is exactly the bias."""

import numpy as np
import pytest

from scratchnet.engine.cpu import winograd
from scratchnet.engine.modes import precise
from scratchnet.layers import Conv2d, ReLU
from scratchnet.network import Network
from scratchnet.ops.convolution import conv2d, conv2d_backward
from tests.compare import numbers

RADIUS = 4
"""Zeros so far in each direction make a 3×3 convolution's tile of 4×4 outputs exactly 0."""


def half_blank(c, h=24, w=20):
    """Return a map that is 0 but for a patch in one image of two, and where the surroundings are 0 as well."""
    x = np.zeros((2, h, w, c), np.float32)
    x[0, :6, :5] = numbers(6, 5, c, dtype=np.float32)
    far = np.ones(x.shape[:3], bool)
    far[0, : 6 + RADIUS, : 5 + RADIUS] = False
    return x, far


@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize(("c", "c_out"), [(16, 16), (16, 8), (256, 200)])
def test_zeros_stay_zeros(tile, c, c_out):
    x, far = half_blank(c)
    weight, bias = numbers(3, 3, c, c_out, dtype=np.float32), numbers(c_out, dtype=np.float32)
    y = winograd.convolve(x, weight, None, (1, 1), tile)
    assert not y[far].any()
    y = winograd.convolve(x, weight, bias, (1, 1), tile)
    np.testing.assert_array_equal(y[far], np.broadcast_to(bias, y[far].shape))


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_gradients_of_blank_regions_are_zero(kernel):
    x, far = half_blank(16, 40, 40)
    far[0, : 14 + kernel, : 13 + kernel] = False
    weight = numbers(kernel, kernel, 16, 16, dtype=np.float32)
    dx, _, _ = conv2d_backward(x, x, weight, 1, kernel // 2)
    assert not conv2d(x, weight, None, 1, kernel // 2)[far].any()
    assert not dx[far].any()


def test_a_blank_image_takes_the_way_of_the_direct_sum():
    net = Network(16)
    for i in range(3):
        net.add(f"conv{i}", Conv2d(16, 16, 3, padding=1))
        net.add(f"relu{i}", ReLU())
    net.allocate(0).train()
    blank = np.zeros((1, 16, 16, 16), np.float32)
    assert not net.forward(blank).any()
    for parameter in net.parameters().values():
        parameter.grad[...] = 0
    dy = numbers(1, 16, 16, 16, dtype=np.float32)
    net.backward(dy)
    fast = {name: p.grad.copy() for name, p in net.parameters().items()}
    for parameter in net.parameters().values():
        parameter.grad[...] = 0
    with precise():
        net.forward(blank)
        net.backward(dy)
    for name, p in net.parameters().items():
        np.testing.assert_array_equal(fast[name], p.grad)


def test_errors_near_an_edge_are_small_and_gone_in_precise_mode():
    """Zeros less than a tile away from other values may become noise: about 1e-6 of the largest output."""
    x, far = half_blank(16)
    weight = numbers(3, 3, 16, 16, dtype=np.float32)
    with precise():
        exact = conv2d(x, weight, None, 1, 1)
    fast = conv2d(x, weight, None, 1, 1)
    zero = ~exact.any(axis=3) & ~far
    assert zero.any()
    assert np.abs(fast[zero]).max() < 1e-5 * np.abs(exact).max()
