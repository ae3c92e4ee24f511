"""Memory that forked processes share."""

import numpy as np

from scratchnet.engine.memory.shared import shared_copy, shared_zeros
from tests.compare import numbers


def test_shared_zeros_are_zero_and_keep_their_memory():
    array = shared_zeros((100, 30), np.float64)
    assert not array.any()
    view = array[3:]
    view.fill(2)
    del array
    others = [shared_zeros((100, 30), np.float64) for _ in range(4)]
    assert (view == 2).all()
    assert not any(other.any() for other in others)
    assert shared_zeros((0, 3), np.float32).shape == (0, 3)


def test_a_shared_copy_is_no_view():
    array = numbers(3, 4)[:, ::2]
    copy = shared_copy(array)
    np.testing.assert_array_equal(copy, array)
    assert not np.may_share_memory(copy, array)
    assert copy.dtype == array.dtype
