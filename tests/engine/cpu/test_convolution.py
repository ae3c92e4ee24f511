"""The algorithms of a convolution together: scratch memory, threads, and where results are written."""

import tracemalloc

import numpy as np
import pytest

from scratchnet.engine.cpu import conv_algorithm, convolution, im2col, matmul, threads, winograd
from scratchnet.engine.cpu.conv_algorithm import Algorithm, choose
from scratchnet.engine.modes import precise
from scratchnet.ops.convolution import conv2d, conv2d_backward, conv2d_input_gradient
from scratchnet.ops.geometry import ConvSpec
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from tests import naive
from tests.compare import assert_close, numbers
from tests.ops.test_convolution import CASES


@pytest.mark.parametrize(("scratch", "cores"), [(1, 1), (400, 1), (3000, 3), (4 << 20, 1), (4 << 20, 4)])
@pytest.mark.parametrize("case", CASES)
def test_results_do_not_depend_on_scratch_memory_or_threads(monkeypatch, case, scratch, cores):
    x_shape, w_shape, settings = CASES[case]
    x, weight = numbers(*x_shape), numbers(*w_shape, seed=1)
    y = conv2d(x, weight, **settings)
    dy = numbers(*y.shape, seed=3)
    whole = conv2d_backward(dy, x, weight, **settings)
    monkeypatch.setattr(im2col, "SCRATCH_BYTES", scratch)
    monkeypatch.setattr(im2col, "thread_count", lambda: cores)
    monkeypatch.setattr(threads, "thread_count", lambda: cores)
    assert_close(conv2d(x, weight, **settings), y)
    for actual, expected in zip(conv2d_backward(dy, x, weight, **settings), whole, strict=True):
        assert_close(actual, expected)


@pytest.mark.parametrize("cores", [1, 3])
def test_input_gradient_channels_apart(monkeypatch, cores):
    monkeypatch.setattr(im2col, "thread_count", lambda: cores)
    monkeypatch.setattr(im2col, "MIN_CHANNELS", 2)
    conv = ConvSpec((3, 2), (2, 1), (1, 1), (1, 2), 1)
    x, weight = numbers(2, 6, 5, 7), numbers(3, 2, 7, 5, seed=1)
    dy = numbers(2, *conv.output_size(6, 5), 5, seed=2)
    for scratch in (1, 1 << 20):
        monkeypatch.setattr(im2col, "SCRATCH_BYTES", scratch)
        dx = im2col.input_gradient_by_channel(dy, weight, (6, 5), conv)
        assert_close(dx, naive.conv2d_backward(dy, x, weight, stride=(2, 1), padding=1, dilation=(1, 2))[0])


WHOLE = {
    "padded": ((2, 6, 5, 7), (3, 3, 7, 80), {"padding": 1}),
    "unpadded": ((3, 8, 8, 4), (7, 7, 4, 16), {}),
    "strided": ((1, 9, 8, 6), (3, 2, 6, 40), {"stride": (2, 1), "padding": (1, 0)}),
    "dilated": ((2, 9, 9, 16), (3, 3, 16, 120), {"dilation": 2, "padding": 1}),
}


@pytest.mark.parametrize("case", WHOLE)
@pytest.mark.parametrize("cores", [1, 3])
def test_all_columns_at_once(monkeypatch, case, cores):
    x_shape, w_shape, settings = WHOLE[case]
    x, weight, bias = numbers(*x_shape), numbers(*w_shape, seed=1), numbers(w_shape[3], seed=2)
    conv = ConvSpec.of(weight, *(settings.get(k, v) for k, v in (("stride", 1), ("padding", 0), ("dilation", 1))), 1)
    monkeypatch.setattr(conv_algorithm, "MIN_LARGE_KERNELS", 0)
    monkeypatch.setattr(threads, "thread_count", lambda: cores)
    monkeypatch.setattr(matmul, "thread_count", lambda: cores)
    assert choose(x, weight, conv, x.shape[1:3]) is Algorithm.WHOLE_IM2COL
    y = conv2d(x, weight, bias, **settings)
    assert_close(y, naive.conv2d(x, weight, bias, **settings))
    dy = numbers(*y.shape, seed=3)
    given = np.full_like(weight, np.nan)
    for out in (None, given):
        found = conv2d_backward(dy, x, weight, **settings, out=out)
        for actual, expected in zip(found, naive.conv2d_backward(dy, x, weight, **settings), strict=True):
            assert_close(actual, expected)
    assert found[1] is given


def test_small_maps_do_not_turn_large_kernels(monkeypatch):
    def fail(*_):
        raise AssertionError

    dy, weight = numbers(1, 4, 4, 17), numbers(3, 3, 2, 17, seed=1)
    expected = conv2d_input_gradient(dy, weight, (4, 4), padding=1)
    monkeypatch.setattr(convolution, "flip", fail)
    assert_close(conv2d_input_gradient(dy, weight, (4, 4), padding=1), expected)
    with pytest.raises(AssertionError):
        conv2d_input_gradient(dy[..., :16], weight[..., :16], (4, 4), padding=1)


def peak_beyond_result(function):
    """Return how many bytes ``function`` held at most, its result not counted.

    The whole matrix of columns of the maps below would be 7 MB and more.
    """
    tracemalloc.start()
    try:
        result = function()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return peak - result.nbytes


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize(("c_in", "c_out", "groups"), [(4, 8, 1), (1, 32, 1), (8, 8, 2), (2, 128, 2)])
def test_a_large_image_needs_little_more_memory_than_its_output(monkeypatch, c_in, c_out, groups, cores):
    monkeypatch.setattr(im2col, "SCRATCH_BYTES", 1 << 20)
    monkeypatch.setattr(im2col, "thread_count", lambda: cores)
    monkeypatch.setattr(threads, "thread_count", lambda: cores)
    x = np.ones((1, 384, 512, c_in), np.float32)
    weight = np.ones((3, 3, c_in // groups, c_out), np.float32)
    extra = peak_beyond_result(lambda: conv2d(x, weight, padding=1, groups=groups))
    assert extra < 4 * im2col.SCRATCH_BYTES * cores
    dy = np.ones((1, 192, 256, c_out), np.float32)
    extra = peak_beyond_result(lambda: conv2d_input_gradient(dy, weight, (384, 512), 2, 1, 1, groups))
    assert extra < 4 * im2col.SCRATCH_BYTES * cores


LARGE_KERNELS = {
    "that cover the map": ((2, 4, 4, 6), (4, 4, 6, 5), {}),
    "1×1": ((2, 1, 1, 6), (1, 1, 6, 5), {}),
    "3×3 that share products": ((2, 20, 24, 256), (3, 3, 256, 256), {"padding": 1}),
}


@pytest.mark.parametrize("case", LARGE_KERNELS)
def test_the_gradient_of_a_large_kernel_is_written_where_it_is_wanted(case):
    (n, h, w, c), shape, settings = LARGE_KERNELS[case]
    x, weight = numbers(n, h, w, c, dtype=np.float32), numbers(*shape, seed=1, dtype=np.float32)
    y = conv2d(x, weight, **settings)
    dy = numbers(*y.shape, seed=2, dtype=np.float32)
    ways = [lambda out: conv2d_backward(dy, x, weight, out=out, **settings)]
    ways += [lambda out: conv2d_backward(dy, x, weight, needs_input_grad=False, out=out, **settings)]
    ways += [lambda out: conv_transpose2d_backward(x, dy, weight, out=out, **settings)]
    for way in ways:
        out = np.full(shape, np.nan, np.float32)
        _, expected, _ = way(None)
        _, dweight, _ = way(out)
        assert dweight is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(("c", "c_out", "size"), [(16, 8, (31, 34)), (16, 16, (32, 32)), (256, 256, (30, 33))])
def test_a_transposed_convolution_in_winograds_form_adds_its_bias(c, c_out, size, monkeypatch):
    x, weight = numbers(3, *size, c, dtype=np.float32), numbers(3, 3, c_out, c, seed=1, dtype=np.float32)
    bias = 10 * numbers(c_out, seed=2, dtype=np.float32)
    with precise():
        expected = conv_transpose2d(x, weight, bias, padding=1)
    passes = []
    convolve = winograd.convolve
    monkeypatch.setattr(winograd, "convolve", lambda *given, **more: (passes.append(1), convolve(*given, **more))[1])
    found = conv_transpose2d(x, weight, bias, padding=1)
    assert passes
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-5 * np.abs(expected).max())
