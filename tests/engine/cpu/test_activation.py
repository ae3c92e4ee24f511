import numpy as np
import pytest

from scratchnet.arrays import generator
from scratchnet.engine.cpu import activation
from scratchnet.utils.random_stream import RandomStream
from tests.compare import numbers, special


@pytest.mark.parametrize("most", [1 << 18, 7])
def test_relu_with_and_without_enough_zeros(most, dtype, monkeypatch):
    monkeypatch.setattr(activation, "MAX_ZEROS", most)
    activation._many_zeros.cache_clear()
    x = special(2, 3, 4, 5, dtype=dtype)
    np.testing.assert_array_equal(activation.relu(x), np.maximum(x, 0))
    y = x.copy()
    activation.keep_positive(y)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    activation._many_zeros.cache_clear()


def test_the_zeros_cannot_be_overwritten():
    with pytest.raises(ValueError, match="read-only"):
        activation._zeros(np.ones((2, 3)))[...] = 1


def test_dropout_in_chunks_repeats_its_mask(pieces, dtype):
    x, stream = numbers(2, 6, 5, 3, dtype=dtype), RandomStream(generator(2))
    y, mask = activation.dropout(x, 0.4, stream)
    np.testing.assert_array_equal(y, x * mask)
    np.testing.assert_array_equal(activation.dropout_backward(x, mask), y)
    for array, right in zip(activation.dropout(x, 0.4, stream, again=True), (y, mask), strict=True):
        np.testing.assert_array_equal(array, right)
    assert not np.array_equal(activation.dropout(x, 0.4, stream)[1], mask)
