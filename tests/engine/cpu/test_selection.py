import numpy as np
import pytest

from scratchnet.engine.cpu.selection import keep_where_equal, keep_where_negative, keep_where_positive
from tests.compare import special


@pytest.mark.parametrize("over_itself", [False, True])
def test_values_are_kept_where_another_array_is_positive(dtype, over_itself):
    values, y = special(3, 4, 5, dtype=dtype), special(3, 4, 5, dtype=dtype, seed=1)
    expected = np.where((y > 0) | np.isnan(y), values, 0)
    mask = np.empty_like(values)
    out = values if over_itself else mask
    keep_where_positive(values, y, mask, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("over_itself", [False, True])
def test_values_are_kept_where_another_array_has_a_sign_bit(dtype, over_itself):
    values, y = special(3, 4, 5, dtype=dtype), special(3, 4, 5, dtype=dtype, seed=1)
    expected = np.where(np.signbit(y), values, 0)
    out = values if over_itself else np.empty_like(values)
    keep_where_negative(values, y, out)
    np.testing.assert_array_equal(out, expected)


def test_booleans_choose_as_well(dtype):
    values, chosen = special(3, 4, dtype=dtype), np.arange(12).reshape(3, 4) % 3 > 0
    out = np.empty_like(values)
    keep_where_positive(values, chosen, out, out)
    np.testing.assert_array_equal(out, np.where(chosen, values, 0))


def test_nan_counts_as_positive_unless_its_sign_bit_is_set(dtype):
    y = np.array([np.nan, np.copysign(np.nan, -1.0)], dtype)
    out = np.empty(2, dtype)
    keep_where_positive(np.ones(2, dtype), y, out, out)
    assert out.tolist() == [1, 0]


@pytest.mark.parametrize("index_dtype", [np.uint8, np.uint16])
def test_values_are_kept_where_an_index_is_a_number(dtype, index_dtype):
    values = special(2, 3, 4, dtype=dtype)
    index = (np.arange(24).reshape(values.shape) % 5).astype(index_dtype)
    out = np.empty_like(values)
    keep_where_equal(values, index, index_dtype(3), out, out)
    np.testing.assert_array_equal(out, np.where(index == 3, values, 0))
    keep_where_equal(values[:1], index, index_dtype(0), out, out)
    np.testing.assert_array_equal(out, np.where(index == 0, values[:1], 0))
