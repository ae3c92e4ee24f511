import numpy as np
import pytest

from scratchnet.ops.activation import dropout, relu, relu_backward, sigmoid, softmax
from scratchnet.utils.random_stream import RandomStream
from tests import naive
from tests.compare import assert_close, numbers


def test_relu_and_its_gradient(pieces, form, dtype):
    x = np.array([-2, -0.5, 0, 0.5, 3], dtype).reshape(1, 1, 5, 1)
    y = relu(x)
    assert_close(y, np.array([0, 0, 0, 0.5, 3]).reshape(x.shape), dtype)
    dy = np.array([1, -2, 3, -4, 5], dtype).reshape(x.shape)
    assert_close(relu_backward(dy, y), np.array([0, 0, 0, -4, 5]).reshape(x.shape), dtype)


def test_relu_of_a_large_map(pieces, form, dtype):
    x, dy = numbers(3, 20, 30, 5, dtype=dtype), numbers(3, 20, 30, 5, seed=1, dtype=dtype)
    np.testing.assert_array_equal(relu(x), np.where(x > 0, x, 0))
    np.testing.assert_array_equal(relu_backward(dy, relu(x)), np.where(x > 0, dy, 0))
    np.testing.assert_array_equal(relu(x[:, 3:, 2:, 1:3]), np.where(x > 0, x, 0)[:, 3:, 2:, 1:3])


def test_sigmoid_values(dtype):
    x = numbers(2, 3, 4, 1, dtype=dtype)
    assert_close(sigmoid(x), 1 / (1 + np.exp(-x.astype(np.float64))), dtype)
    extreme = sigmoid(np.array([-4000, -40, 0, 40, 4000], dtype))
    np.testing.assert_allclose(extreme, [0, 0, 0.5, 1, 1], rtol=0, atol=1e-15)


def test_softmax_values(dtype):
    x = 3 * numbers(2, 3, 4, 5, dtype=dtype)
    expected = np.array([naive.softmax(x[place]) for place in np.ndindex(x.shape[:3])]).reshape(x.shape)
    assert_close(softmax(x), expected, dtype)
    np.testing.assert_array_equal(x, 3 * numbers(2, 3, 4, 5, dtype=dtype))  # left alone


@pytest.mark.parametrize("size", [40, 4000])
def test_softmax_of_huge_logits_is_finite(size, dtype):
    p = softmax(np.array([[size, -size, 0], [size, size, -size]], dtype))
    np.testing.assert_allclose(p, [[1, 0, 0], [0.5, 0.5, 0]], rtol=0, atol=1e-15)


def drawn(x, rate, seed):
    return dropout(x, rate, RandomStream(np.random.default_rng(seed)))[1]


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5, 0.9])
def test_dropout_keeps_the_mean(rate, form, dtype):
    x = np.ones((4, 50, 50, 4), dtype)
    y, mask = dropout(x, rate, RandomStream(np.random.default_rng(0)))
    assert y.dtype == mask.dtype == dtype
    np.testing.assert_array_equal(y, mask)
    assert set(np.unique(mask)) <= {0, dtype.type(1 / (1 - rate))}
    assert abs((mask == 0).mean() - rate) < 0.01
    assert abs(y.mean(dtype=np.float64) - 1) < 0.05


def test_dropout_drops_the_same_numbers_for_the_same_seed(form):
    x = numbers(2, 8, 8, 3)
    first, again, other = (drawn(x, 0.5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_dropout_draws_alike_in_both_dtypes(form):
    masks = [drawn(np.ones((1, 9, 9, 2), d), 0.5, 3) > 0 for d in (np.float32, np.float64)]
    np.testing.assert_array_equal(*masks)
