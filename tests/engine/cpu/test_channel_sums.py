import numpy as np
import pytest

from scratchnet.engine.cpu.channel_sums import channel_sums
from tests.compare import assert_close, numbers


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (3, 5, 7, 2), (2, 300, 100, 5), (1, 1, 4097, 1)])
def test_column_sums_of_any_shape(shape, pieces, dtype):
    x = numbers(*shape, dtype=dtype)
    assert_close(channel_sums(x), x.sum((0, 1, 2), dtype=np.float64), dtype)


def test_column_sums_of_views_with_gaps():
    x = numbers(3, 8, 9, 6)[:, 1:7, 2:, 1:4]
    assert_close(channel_sums(x), x.sum((0, 1, 2)))


def test_column_sums_of_float32_keep_what_a_running_sum_loses():
    """Four million times 0.1: one running float32 sum is off by percents, the sum over pieces by far less.

    How many partial sums a piece has depends on the processor's BLAS kernel, so what is promised is a ratio.
    """
    x = np.full((1, 2000, 2000, 1), 0.1, np.float32)
    right = x.sum(dtype=np.float64)
    running = abs(np.add.accumulate(x.ravel())[-1] / right - 1)
    assert running > 0.03
    assert abs(channel_sums(x)[0] / right - 1) < running / 500
