"""Kernels of every size in Winograd's form, whole or in pieces: all three passes against loops."""

import numpy as np
import pytest

from scratchnet import compile as capture
from scratchnet.engine.cpu import im2col, winograd, winograd_kernels
from scratchnet.engine.cpu.winograd_kernels import pieces_of, taps_of
from scratchnet.engine.modes import precise
from scratchnet.layers import Conv2d, ConvTranspose2d
from scratchnet.network import Network
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.geometry import ConvSpec
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from tests import naive
from tests.compare import assert_close, numbers

# n, h, w, kernel, padding
CASES = {
    "7×7": (2, 9, 8, (7, 7), (3, 3)),
    "7×7, padding 0": (1, 15, 17, (7, 7), (0, 0)),
    "7×7, padding 1 and 2": (1, 15, 14, (7, 7), (1, 2)),
    "5×5": (1, 8, 7, (5, 5), (2, 2)),
    "4×4": (2, 9, 6, (4, 4), (1, 2)),
    "6×6 unpadded": (1, 9, 10, (6, 6), (0, 0)),
    "8×8": (1, 11, 9, (8, 8), (3, 4)),
    "9×9, nine pieces": (1, 10, 13, (9, 9), (4, 4)),
    "3×5": (2, 8, 9, (3, 5), (1, 2)),
    "7×2": (2, 8, 9, (7, 2), (3, 1)),
    "1×9": (2, 5, 12, (1, 9), (0, 4)),
    "padding over the kernel": (1, 4, 5, (5, 4), (5, 6)),
    "3×3 padded by 3": (1, 4, 5, (3, 3), (3, 3)),
    "kernel over the map": (1, 3, 4, (7, 7), (3, 3)),
    "one output": (1, 7, 7, (7, 7), (0, 0)),
}


def problem(case, c=3, c_out=4, dtype=np.float64):
    n, h, w, kernel, padding = CASES[case]
    conv = ConvSpec(kernel, (1, 1), padding, (1, 1), 1)
    x, weight = numbers(n, h, w, c, dtype=dtype), numbers(*kernel, c, c_out, seed=1, dtype=dtype)
    return x, weight, numbers(n, *conv.output_size(h, w), c_out, seed=3, dtype=dtype), conv


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("scratch", [1, 2 << 20])
@pytest.mark.parametrize("case", CASES)
def test_all_passes_agree_with_loops(monkeypatch, cores, case, scratch, count):
    cores(count)
    monkeypatch.setattr(winograd, "SCRATCH_BYTES", scratch)
    x, weight, dy, conv = problem(case)
    bias = numbers(4, seed=2)
    assert_close(
        winograd.convolve(x, weight, bias, conv.padding, 4), naive.conv2d(x, weight, bias, conv.stride, conv.padding)
    )
    dx, dweight, _ = naive.conv2d_backward(dy, x, weight, conv.stride, conv.padding)
    assert_close(winograd.weight_gradient(dy, x, conv.padding, 4), dweight)
    back = conv.adjoint()
    if min(back.padding) >= 0:
        assert_close(winograd.convolve(dy, weight, None, back.padding, 4, flipped=True), dx)
        both = winograd.backward(dy, x, weight, back.padding, 4, flipped=True)
        assert_close(both[0], dx)
        assert_close(both[1], dweight)
    y, slope = winograd.backward(x, dy, weight, conv.padding, 4, flipped=False)  # of a transposed convolution
    assert_close(y, naive.conv2d(x, weight, None, conv.stride, conv.padding))
    assert_close(slope, dweight)


@pytest.mark.parametrize(("tile", "k"), [(3, 2), (4, 2), (2, 3), (3, 3), (2, 4), (3, 4), (2, 5), (3, 5)])
def test_other_tiles(tile, k):
    x, weight, dy = numbers(2, 9, 10, 3), numbers(k, k, 3, 4, seed=1), numbers(2, 12 - k, 13 - k, 4, seed=2)
    assert_close(winograd.convolve(x, weight, None, (1, 1), tile), naive.conv2d(x, weight, padding=1))
    _, dweight, _ = naive.conv2d_backward(dy, x, weight, padding=1)
    assert_close(winograd.weight_gradient(dy, x, (1, 1), tile), dweight)


@pytest.mark.parametrize("limit", [1, 2, 5, 30])
def test_blocks_smaller_than_the_map(monkeypatch, limit):
    monkeypatch.setattr(winograd, "MIN_TILES", limit)
    monkeypatch.setattr(winograd, "SCRATCH_BYTES", 1)
    x, weight, dy = numbers(2, 17, 22, 2), numbers(7, 7, 2, 3, seed=1), numbers(2, 17, 22, 3, seed=2)
    dx, dweight, _ = naive.conv2d_backward(dy, x, weight, padding=3)
    assert_close(winograd.convolve(x, weight, None, (3, 3), 4), naive.conv2d(x, weight, padding=3))
    both = winograd.backward(dy, x, weight, (3, 3), 4, flipped=True)
    assert_close(both[0], dx)
    assert_close(both[1], dweight)


@pytest.mark.parametrize("k", [5, 7])
def test_layers_of_many_channels(monkeypatch, cores, k):
    cores(3)
    monkeypatch.setattr(winograd, "WIDE", 1)
    x, weight, dy = numbers(2, 9, 10, 3), numbers(k, k, 3, 4, seed=1), numbers(2, 9, 10, 4, seed=2)
    dx, dweight, _ = naive.conv2d_backward(dy, x, weight, padding=k // 2)
    assert_close(winograd.convolve(x, weight, None, (k // 2,) * 2, 4), naive.conv2d(x, weight, padding=k // 2))
    both = winograd.backward(dy, x, weight, (k // 2,) * 2, 4, flipped=True)
    assert_close(both[0], dx)
    assert_close(both[1], dweight)


@pytest.mark.parametrize("k", [4, 5, 7])
@pytest.mark.parametrize(
    ("forward", "gradients"), [(conv2d, conv2d_backward), (conv_transpose2d, conv_transpose2d_backward)]
)
def test_it_is_what_a_large_kernel_uses(monkeypatch, k, forward, gradients):
    """Both gradients come from the same transformed patches; float32 keeps the bounds that 3×3 kernels have."""
    x, weight = numbers(1, 47, 44, 16, dtype=np.float32), numbers(k, k, 16, 16, seed=1, dtype=np.float32)
    bias = numbers(16, seed=2, dtype=np.float32)
    with precise():
        y = forward(x, weight, bias, padding=k // 2)
        expected = gradients(y, x, weight, padding=k // 2)
    used = []
    for name in ("convolve", "backward"):
        original = getattr(winograd, name)
        monkeypatch.setattr(
            winograd,
            name,
            lambda *a, original=original, name=name, **more: (used.append(name), original(*a, **more))[1],
        )
    assert_close(forward(x, weight, bias, padding=k // 2), y, np.float32)
    for found, exact in zip(gradients(y, x, weight, padding=k // 2), expected, strict=True):
        assert_close(found, exact, np.float32)
    assert used == ["convolve", "backward"]


@pytest.mark.parametrize("c", [8, 64])
@pytest.mark.parametrize("k", [4, 5, 7])
def test_the_rounding_errors_of_single_precision(k, c):
    """They stay below the bound of F(4×4, 3×3)."""
    conv = ConvSpec((k, k), (1, 1), (k // 2, k // 2), (1, 1), 1)
    x, weight = numbers(1, 40, 40, c, dtype=np.float32), numbers(k, k, c, c, seed=1, dtype=np.float32)
    dy = numbers(1, *conv.output_size(40, 40), c, seed=2, dtype=np.float32)
    wide = [a.astype(np.float64) for a in (x, weight, dy)]
    y = im2col.convolve(*wide[:2], conv, conv.output_size(40, 40))
    slope = im2col.weight_gradient(wide[2], wide[0], wide[1], conv)
    assert 0 < np.abs(winograd.convolve(x, weight, None, conv.padding, 4) - y).max() < 1e-5 * np.abs(y).max()
    found = winograd.weight_gradient(dy, x, conv.padding, 4)
    assert 0 < np.abs(found - slope).max() < 1e-5 * np.abs(slope).max()


def test_blank_regions_stay_blank():
    x, weight = np.zeros((1, 48, 48, 8), np.float32), numbers(7, 7, 8, 8, dtype=np.float32)
    x[:, :8, :8] = 1
    y = winograd.convolve(x, weight, None, (3, 3), 4)
    assert not y[:, 16:].any()
    assert not y[:, :, 16:].any()


@pytest.mark.parametrize("count", [1, 2])
def test_a_captured_network_repeats_large_kernels(cores, count):
    cores(count)
    nets = []
    for _ in range(2):
        net = Network(channels=8)
        net.add("conv", Conv2d(8, 8, 7, padding=3))
        net.add("deconv", ConvTranspose2d(8, 8, 5, padding=2))
        nets.append(net.allocate(seed=1).train())
    step, twin = capture(nets[0]), nets[1]
    for seed in range(4):
        x = numbers(1, 64, 64, 8, seed=seed, dtype=np.float32)
        np.testing.assert_array_equal(step.forward(x), twin.forward(x))
        step.backward(x, add=False)
        twin.backward(x, add=False)
        np.testing.assert_array_equal(nets[0].flat().grads, twin.flat().grads)


def test_pieces():
    assert [taps_of((k, k)) for k in range(2, 10)] == [2, 3, 4, 5, 4, 4, 4, 4]
    assert [pieces_of((k, 1), taps_of((k, k)))[0] for k in range(2, 10)] == [1, 1, 1, 1, 2, 2, 2, 3]
    assert winograd_kernels.pieces_of((7, 3), 4) == (2, 1)


@pytest.mark.parametrize("kernel", [(3, 3), (7, 7)])
@pytest.mark.parametrize("flipped", [False, True])
def test_frequencies_do_not_share_cache_lines_of_a_set(kernel, flipped):
    constants = winograd.matrices(4, taps_of(kernel), np.ones(1, np.float32))
    weight = np.ones((*kernel, 64, 64), np.float32)
    kernels = winograd_kernels.transform_kernel(weight, constants, slice(None), flipped)
    assert kernels.strides[0] % 4096
    assert not kernels.strides[0] % 64
