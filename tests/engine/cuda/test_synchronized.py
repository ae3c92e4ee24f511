"""Synchronised batch norm by the kernels against the CPU's."""

import pytest

from scratchnet.engine.cuda import synchronized as cuda
from scratchnet.ops import synchronized
from tests.compare import assert_close, numbers


def double(sums):
    """Add the sums of another process, which has the same images."""
    sums *= 2


@pytest.mark.parametrize("relu", [False, True])
def test_a_share_of_a_batch(kernels, relu, dtype):
    x, dy = numbers(2, 5, 7, 3, dtype=dtype), numbers(2, 5, 7, 3, seed=1, dtype=dtype)
    gamma, beta = numbers(3, seed=2, dtype=dtype), numbers(3, seed=3, dtype=dtype)
    y, kept, count = cuda.shared_batch_norm(x, gamma, beta, double, relu=relu)
    expected, normalized, pixels = synchronized.shared_batch_norm(x, gamma, beta, double, relu=relu)
    assert_close(y, expected, dtype, scale=5)
    assert count == pixels == 2 * 2 * 5 * 7
    found = cuda.shared_batch_norm_backward(dy, kept, gamma, count, double)
    wanted = synchronized.shared_batch_norm_backward(dy, normalized, gamma, pixels, double)
    for f, w in zip(found, wanted, strict=True):
        assert_close(f, w, dtype, scale=20)


def test_what_array_code_saved_is_left_to_array_code(kernels):
    x, gamma = numbers(2, 5, 7, 3), numbers(3)
    _, normalized, count = synchronized.shared_batch_norm(x, gamma, gamma, double)
    assert cuda.shared_batch_norm_backward(x, normalized, gamma, count, double) is NotImplemented
