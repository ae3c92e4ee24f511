"""Winograd's forms compute the direct sum: to rounding, for every size, padding, block and division of the work."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.engine.cpu import im2col, winograd, winograd_kernels, winograd_work
from scratchnet.engine.cpu.blocks import blocks
from scratchnet.engine.cpu.convolution import flip
from scratchnet.engine.modes import precise
from scratchnet.ops.convolution import conv2d_backward
from scratchnet.ops.geometry import ConvSpec
from scratchnet.ops.transposed import conv_transpose2d_backward
from tests import naive
from tests.compare import assert_close, numbers

PADDINGS = [(p, q) for p in range(3) for q in range(3)]


@pytest.fixture(params=[2, 4])
def tile(request):
    return request.param


def problem(x_shape, c_out, padding, dtype=np.float64):
    n, h, w, c = x_shape
    x, weight = numbers(*x_shape, dtype=dtype), numbers(3, 3, c, c_out, seed=1, dtype=dtype)
    dy = numbers(n, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2, c_out, seed=2, dtype=dtype)
    return x, weight, dy


def the_sum(x, weight, padding):
    """The direct sum in float64."""
    conv = ConvSpec(weight.shape[:2], (1, 1), padding, (1, 1), 1)
    return im2col.convolve(x.astype(np.float64), weight.astype(np.float64), conv, conv.output_size(*x.shape[1:3]))


def its_gradient(dy, x, weight, padding):
    conv = ConvSpec((3, 3), (1, 1), padding, (1, 1), 1)
    return im2col.weight_gradient(dy.astype(np.float64), x.astype(np.float64), weight, conv)


def check(x, weight, dy, padding, tile, scale=1.0):
    """Compare the convolution, the one with the kernel turned, the weight gradient, and both gradients at once."""
    y = winograd.convolve(x, weight, None, padding, tile)
    assert_close(y, the_sum(x, weight, padding), x.dtype, scale)
    flipped = weight.transpose(0, 1, 3, 2)[::-1, ::-1]
    back = np.ascontiguousarray(flipped)
    np.testing.assert_array_equal(flip(back, 1), weight)
    assert_close(
        winograd.convolve(x, back, None, padding, tile, flipped=True), the_sum(x, weight, padding), x.dtype, scale
    )
    slope = its_gradient(dy, x, weight, padding)
    assert_close(winograd.weight_gradient(dy, x, padding, tile), slope, x.dtype, scale)
    grown = (2 - padding[0], 2 - padding[1])
    dx, dweight = winograd.backward(dy, x, weight, grown, tile, flipped=True)
    assert_close(dx, the_sum(dy, back, grown), x.dtype, scale)
    assert_close(dweight, slope, x.dtype, scale)
    dy, dweight = winograd.backward(x, dy, weight, padding, tile, flipped=False)  # of a transposed convolution
    assert_close(dy, the_sum(x, weight, padding), x.dtype, scale)
    assert_close(dweight, slope, x.dtype, scale)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", [(3, 3), (4, 4), (6, 9), (7, 5), (11, 8), (3, 13)])
def test_all_paddings_and_sizes(tile, size, padding):
    check(*problem((2, *size, 3), 4, padding), padding, tile)


def test_against_loops(tile):
    x, weight, dy = problem((2, 7, 6, 2), 3, (1, 1))
    bias = numbers(3, seed=3)
    assert_close(winograd.convolve(x, weight, bias, (1, 1), tile), naive.conv2d(x, weight, bias, padding=1))
    dx, dweight, _ = naive.conv2d_backward(dy, x, weight, padding=1)
    assert_close(winograd.weight_gradient(dy, x, (1, 1), tile), dweight)
    assert_close(winograd.convolve(dy, weight, None, (1, 1), tile, flipped=True), dx)


@given(
    st.integers(1, 3), st.integers(1, 14), st.integers(1, 14), st.integers(1, 5), st.integers(1, 5),
    st.sampled_from(PADDINGS), st.sampled_from([2, 4]), st.sampled_from([1, 3000, 1 << 20]),
)  # fmt: skip
def test_any_geometry(n, h, w, c, c_out, padding, tile, scratch):
    h, w = max(h, 3 - 2 * padding[0]), max(w, 3 - 2 * padding[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "SCRATCH_BYTES", scratch)
        check(*problem((n, h, w, c), c_out, padding), padding, tile)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 100])
def test_blocks_smaller_than_the_map(monkeypatch, tile, limit):
    """Blocks of a few tiles: pieces of a row of tiles, whole rows, whole images."""
    monkeypatch.setattr(winograd_work, "blocks", lambda n, rows, columns, *_, **__: blocks(n, rows, columns, limit))
    for padding in ((0, 0), (1, 1), (2, 2), (0, 2)):
        check(*problem((3, 10, 13, 2), 3, padding), padding, tile)


def test_little_scratch_memory_makes_many_blocks(monkeypatch, tile):
    x, weight, dy = problem((2, 90, 70, 2), 3, (1, 1))
    counts = []

    def counting(*grid, **settings):
        counts.append(len(blocks(*grid, **settings)))
        return blocks(*grid, **settings)

    monkeypatch.setattr(winograd_work, "blocks", counting)
    winograd.convolve(x, weight, None, (1, 1), tile)
    monkeypatch.setattr(winograd, "SCRATCH_BYTES", 4000)
    check(x, weight, dy, (1, 1), tile)
    assert min(counts[1:]) > 4 * counts[0]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_several_threads(cores, tile, count):
    cores(count)
    check(*problem((2, 21, 18, 5), 6, (1, 1)), (1, 1), tile)


@pytest.mark.parametrize("count", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("size", [(5, 7), (20, 33)])
def test_wide_layers_share_the_frequencies(monkeypatch, cores, tile, count, size):
    """Up to a thread a frequency, and more threads than that; all tiles at once, or a few in a turn."""
    cores(count)
    monkeypatch.setattr(winograd, "WIDE", 1)
    if size == (20, 33):
        monkeypatch.setattr(winograd, "WIDE_BYTES", 1)
        monkeypatch.setattr(winograd, "MIN_ROWS", 12)
    for padding in ((0, 0), (1, 1), (2, 1)):
        check(*problem((2, *size, 4), 3, padding), padding, tile)
    x, weight, _ = problem((2, *size, 4), 3, (1, 1))
    bias = numbers(3, seed=3)
    y = winograd.convolve(x, weight, bias, (1, 1), tile)
    assert_close(y, the_sum(x, weight, (1, 1)) + bias)  # added by one part, not by each


@pytest.mark.parametrize("most", [1, 500, 1000, 2000])
def test_kernels_are_transformed_in_pieces(monkeypatch, tile, most):
    """A column at a time, pieces that do not divide the 35 pairs of channels, and several of those in a call."""
    monkeypatch.setattr(winograd_kernels, "SMALL_PRODUCT", most)
    check(*problem((1, 9, 8, 5), 7, (1, 1)), (1, 1), tile)


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("gradients", [conv2d_backward, conv_transpose2d_backward])
def test_both_gradients_of_a_layer_come_from_one_transform(monkeypatch, padding, gradients):
    x, weight, dy = problem((2, 30, 28, 8), 9, (padding, padding), np.float32)
    if gradients is conv_transpose2d_backward:
        x, dy = dy, x
    with precise():
        expected = gradients(dy, x, weight, padding=padding)
    calls, original = [], winograd.backward
    monkeypatch.setattr(winograd, "backward", lambda *a, **k: (calls.append(1), original(*a, **k))[1])
    for actual, exact in zip(gradients(dy, x, weight, padding=padding), expected, strict=True):
        assert_close(actual, exact, np.float32)
    assert calls


def test_a_layer_that_is_wide(cores):
    cores(3)
    c, c_out = 256, 256
    assert winograd._is_wide(c, c_out)
    assert not winograd._is_wide(c, c_out - 1)
    x, weight, dy = problem((1, 9, 10, c), c_out, (1, 1), np.float32)
    check(x, weight, dy, (1, 1), 4)


@pytest.mark.parametrize("bias", [True, False])
def test_the_bias_is_added_once_to_every_pixel(cores, tile, bias):
    cores(2)
    x, weight, _ = problem((2, 9, 11, 3), 4, (1, 1))
    row = numbers(4, seed=3) if bias else None
    y = winograd.convolve(x, weight, row, (1, 1), tile)
    assert_close(y, the_sum(x, weight, (1, 1)) + (row if bias else 0))


@pytest.mark.parametrize("c", [8, 64])
def test_the_rounding_errors_of_single_precision(tile, c):
    """F(4×4) loses about two digits, F(2×2) almost nothing against the direct sum."""
    x, weight, dy = problem((1, 40, 40, c), c, (1, 1), np.float32)
    expected, slope = the_sum(x, weight, (1, 1)), its_gradient(dy, x, weight, (1, 1))
    error = np.abs(winograd.convolve(x, weight, None, (1, 1), tile) - expected).max() / np.abs(expected).max()
    backward = np.abs(winograd.weight_gradient(dy, x, (1, 1), tile) - slope).max() / np.abs(slope).max()
    bound = {2: 1e-6, 4: 1e-5}[tile]
    assert 0 < error < bound
    assert 0 < backward < bound


def test_views_work_like_copies(tile):
    whole = numbers(2, 12, 11, 8)
    x, weight = whole[:, 1:10, 2:, 1:7:2], numbers(3, 3, 3, 4, seed=1)
    expected = winograd.convolve(x.copy(), weight, None, (1, 1), tile)
    np.testing.assert_allclose(winograd.convolve(x, weight, None, (1, 1), tile), expected, rtol=0, atol=1e-12)
    dy = numbers(2, 9, 9, 6)[..., ::2]
    expected = winograd.weight_gradient(dy.copy(), x.copy(), (1, 1), tile)
    np.testing.assert_allclose(winograd.weight_gradient(dy, x, (1, 1), tile), expected, rtol=0, atol=1e-12)


def test_infinities_stay_near_their_pixel(tile):
    """A tile mixes its own patch, no more: what is far away stays finite."""
    x, weight, _ = problem((1, 24, 24, 2), 2, (1, 1))
    x[0, 2, 2, 0] = np.nan
    y = winograd.convolve(x, weight, None, (1, 1), tile)
    assert np.isnan(y[0, 2, 2]).all()
    assert np.isfinite(y[0, 8:]).all()
    assert np.isfinite(y[0, :, 8:]).all()


def test_the_matrices_are_exact_for_small_whole_numbers():
    """F(2×2) has halves only, so whole numbers come out whole."""
    x, weight = (np.round(4 * numbers(*s)) for s in ((1, 8, 8, 2), (3, 3, 2, 2)))
    np.testing.assert_array_equal(winograd.convolve(x, weight, None, (1, 1), 2), the_sum(x, weight, (1, 1)))
