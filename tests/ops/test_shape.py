import numpy as np
import pytest

from scratchnet.ops.shape import (
    add,
    concatenate,
    concatenate_backward,
    crop2d,
    crop2d_backward,
    pad2d,
    pad2d_backward,
)
from tests.compare import assert_close, numbers


def test_crop_and_its_gradient(form, dtype):
    x = numbers(2, 6, 7, 3, dtype=dtype)
    y = crop2d(x, (1, 2), (3, 4))
    assert_close(y, x[:, 1:4, 2:6], dtype)
    dx = crop2d_backward(y, (1, 2), (6, 7))
    expected = np.zeros(x.shape)
    expected[:, 1:4, 2:6] = y
    assert_close(dx, expected, dtype)


def test_crop_of_everything_is_allowed_and_one_more_is_not(form):
    x = numbers(1, 4, 5, 1)
    np.testing.assert_array_equal(crop2d(x, 0, (4, 5)), x)
    with pytest.raises(ValueError, match=r"crop2d: 4×5 at \(0, 1\) does not fit into a map of 4×5"):
        crop2d(x, (0, 1), (4, 5))
    with pytest.raises(ValueError, match="offset is -1; expected"):
        crop2d(x, -1, (2, 2))


def test_pad_and_its_gradient(form, dtype):
    x = numbers(2, 3, 4, 2, dtype=dtype)
    y = pad2d(x, (1, 2))
    assert_close(y, np.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0))), dtype)
    assert_close(pad2d_backward(y, (1, 2)), x, dtype)
    np.testing.assert_array_equal(pad2d_backward(pad2d(x, 0), 0), x)


def test_concatenate_and_its_gradient(form, dtype):
    maps = [numbers(2, 3, 4, c, seed=c, dtype=dtype) for c in (1, 3, 2)]
    y = concatenate(*maps)
    assert y.shape == (2, 3, 4, 6)
    assert y.dtype == dtype
    for piece, m in zip(concatenate_backward(y, [1, 3, 2]), maps, strict=True):
        np.testing.assert_array_equal(piece, m)


def test_add_sums_and_leaves_its_arguments_alone(form):
    a, b, c = (numbers(1, 2, 2, 2, seed=i) for i in range(3))
    np.testing.assert_allclose(add(a, b, c), a + b + c)
    np.testing.assert_array_equal(a, numbers(1, 2, 2, 2, seed=0))


def test_maps_that_do_not_fit_are_named(form):
    a, b = np.zeros((1, 4, 4, 2)), np.zeros((1, 5, 4, 2))
    with pytest.raises(ValueError, match=r"must agree in \(n, h, w\), got \(1, 4, 4, 2\), \(1, 5, 4, 2\)"):
        concatenate(a, b)
    with pytest.raises(ValueError, match=r"must have one shape, got \(1, 4, 4, 2\), \(1, 5, 4, 2\)"):
        add(a, b)
