"""Pooling and unpooling kernels against the CPU's."""

import numpy as np
import pytest

from scratchnet.engine.cuda import pooling as cuda
from scratchnet.ops import pooling
from tests.compare import assert_close, distinct, numbers, special

CASES = [
    ((2, 4, 6, 3), 2, None, 0, False),
    ((1, 7, 9, 5), 2, 2, 0, True),
    ((2, 9, 8, 3), 3, 2, 1, False),  # overlapping windows, and padding
    ((1, 11, 10, 2), (3, 2), (2, 3), (1, 0), True),
    ((1, 8, 8, 4), 2, 3, 0, False),  # gaps between the windows
    ((1, 20, 21, 1), 17, 3, 8, False),  # switches of two bytes
    pytest.param((3, 13, 70, 5), 3, 1, 1, False, marks=pytest.mark.sanitized),  # rows longer than a block
]


def pooled(x, *settings):
    """Return the maxima and switches that the kernel writes, and the CPU's."""
    y, switches = cuda.max_pool2d(x, *settings)
    return (y, switches.index), pooling.max_pool2d(x, *settings)


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "ceil_mode"), CASES)
def test_pooling_and_unpooling(kernels, dtype, shape, kernel, stride, padding, ceil_mode):
    x = distinct(*shape, dtype=dtype)
    (y, index), (expected, switches) = pooled(x, kernel, stride, padding, ceil_mode)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(index, switches.index)
    small, large = numbers(*y.shape, dtype=dtype), numbers(*shape, dtype=dtype)
    assert_close(cuda.max_unpool2d(small, switches), pooling.max_unpool2d(small, switches), dtype)
    found = cuda.max_unpool2d_backward(large, switches)
    np.testing.assert_array_equal(found, pooling.max_unpool2d_backward(large, switches))


def test_the_first_maximum_wins_a_tie(kernels):
    x = np.random.default_rng(0).integers(0, 3, (2, 9, 9, 4)).astype(float)
    (_, index), (_, switches) = pooled(x, 3, 2, 1)
    np.testing.assert_array_equal(index, switches.index)


def test_infinite_numbers_and_nan(kernels):
    x = np.full((1, 4, 6, 1), -np.inf)
    x[0, 0, 1] = np.nan
    x[0, 2, 4] = np.inf
    (y, index), (expected, switches) = pooled(x, 2, 2, 1)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(index, switches.index)
    dy = numbers(*x.shape)
    found = cuda.max_unpool2d_backward(dy, switches)
    np.testing.assert_array_equal(found, pooling.max_unpool2d_backward(dy, switches))


def test_an_empty_batch(kernels):
    (y, _), (expected, switches) = pooled(np.zeros((0, 4, 4, 2)), 2)
    assert y.shape == expected.shape
    assert cuda.max_unpool2d(y, switches).shape == (0, 4, 4, 2)


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "ceil_mode"), CASES[:5])
def test_special_values(kernels, dtype, shape, kernel, stride, padding, ceil_mode):
    x = special(*shape, dtype=dtype)
    (y, index), (expected, switches) = pooled(x, kernel, stride, padding, ceil_mode)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(index, switches.index)
    small = special(*y.shape, dtype=dtype, seed=1)
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        there = pooling.max_unpool2d(small, switches)
    np.testing.assert_allclose(cuda.max_unpool2d(small, switches), there, rtol=1e-5)
    found = cuda.max_unpool2d_backward(x, switches)
    np.testing.assert_array_equal(found, pooling.max_unpool2d_backward(x, switches))
