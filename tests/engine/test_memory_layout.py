import numpy as np
import pytest

from scratchnet.engine.memory_layout import copy_pixels, row_of
from tests.compare import numbers


@pytest.mark.parametrize("c", [1, 3, 16])
def test_pixels_are_copied_between_any_strides(dtype, c):
    x, y = numbers(2, 6, 8, c, dtype=dtype), np.zeros((2, 4, 3, 4, c), dtype)
    by_column = x.reshape(2, 6, 2, 4, c).transpose(0, 3, 1, 2, 4)
    copy_pixels(by_column[:, :, ::2], y[..., 1:3, :])
    np.testing.assert_array_equal(y[..., 1:3, :], by_column[:, :, ::2])
    assert not y[..., 0, :].any()
    assert not y[..., 3, :].any()


def test_channels_that_do_not_lie_together_are_copied_too():
    x, y = numbers(2, 3, 4, 6), np.zeros((2, 3, 4, 3))
    copy_pixels(x[..., ::2], y)
    np.testing.assert_array_equal(y, x[..., ::2])
    copy_pixels(y, x[..., 1::2])
    np.testing.assert_array_equal(x[..., 1::2], y)
    planes = np.ascontiguousarray(x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    copy_pixels(planes[..., :3], y)
    np.testing.assert_array_equal(y, x[..., :3])


def test_rows_of_a_pixel():
    np.testing.assert_array_equal(row_of(np.array([1.0, 2.0]), 3), [1, 2, 1, 2, 1, 2])
