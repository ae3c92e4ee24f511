"""The kernels of the sums over pixels against the CPU's."""

import pytest

from scratchnet.engine.cuda import channel_sums as cuda
from scratchnet.ops import channel_sums
from tests.compare import assert_close, numbers

SHAPES = [(1, 1, 1, 1), (2, 9, 7, 3), (1, 40, 33, 33), pytest.param((2, 13, 5, 64), marks=pytest.mark.sanitized)]


@pytest.mark.parametrize("shape", SHAPES)
def test_column_sums(kernels, dtype, shape):
    x = numbers(*shape, dtype=dtype)
    assert_close(cuda.channel_sums(x), channel_sums.channel_sums(x), dtype, scale=10)


def test_long_columns_are_cut_into_many_chunks():
    chunks = cuda.Chunks.of(numbers(1, 1000, 1000, 1))
    assert chunks.count * chunks.size >= 1_000_000 > (chunks.count - 1) * chunks.size
    assert 200 < chunks.count <= 65535
