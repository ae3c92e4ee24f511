import numpy as np
import pytest

from scratchnet.ops.normalization import (
    batch_norm,
    batch_norm_backward,
    batch_norm_fixed,
    batch_norm_fixed_backward,
)
from tests import naive
from tests.compare import assert_close, numbers

pytestmark = pytest.mark.usefixtures("form")


@pytest.mark.parametrize("shape", [(2, 5, 6, 3), (4, 1, 1, 2), (1, 7, 1, 5), (2, 64, 48, 2)])
def test_batch_norm_and_its_gradients_agree_with_loops(shape, pieces, dtype):
    x = 3 * numbers(*shape, dtype=dtype) + dtype.type(1.5)
    gamma, beta = numbers(shape[3], seed=1, dtype=dtype), numbers(shape[3], seed=2, dtype=dtype)
    y, normalized = batch_norm(x, gamma, beta, 1e-3)
    assert_close(y, naive.batch_norm(x, gamma, beta, 1e-3), dtype)
    assert_close(normalized.mean, x.mean((0, 1, 2), dtype=np.float64), dtype)
    assert_close(normalized.variance, x.var((0, 1, 2), dtype=np.float64), dtype)
    dy = numbers(*shape, seed=3, dtype=dtype)
    for actual, expected in zip(
        batch_norm_backward(dy, normalized, gamma), naive.batch_norm_backward(dy, x, gamma, 1e-3), strict=True
    ):
        assert_close(actual, expected, dtype, scale=3)


def test_batch_norm_by_hand():
    """Two pixels, 1 and 5: mean 3, variance 4; ε = 12 makes the denominator 4; then 2·x̂ + 10."""
    x = np.array([1.0, 5.0]).reshape(1, 1, 2, 1)
    y, normalized = batch_norm(x, np.array([2.0]), np.array([10.0]), eps=12.0)
    assert (normalized.mean.item(), normalized.variance.item(), normalized.inverse_std.item()) == (3, 4, 0.25)
    assert y.ravel().tolist() == [9, 11]
    # dy = (1, 0): dγ = −½, dβ = 1, dx = γ/4 · (dy − ½ − x̂·(−¼)) = ½ · (½ − ⅛, −½ + ⅛)
    dx, dgamma, dbeta = batch_norm_backward(np.array([1.0, 0.0]).reshape(1, 1, 2, 1), normalized, np.array([2.0]))
    assert (dgamma.item(), dbeta.item()) == (-0.5, 1.0)
    assert dx.ravel().tolist() == [0.1875, -0.1875]


def test_batch_norm_of_a_far_off_mean_keeps_its_variance():
    """The mean is subtracted before squaring: E[x²] − E[x]² would lose all digits in float32."""
    x = (10_000 + numbers(1, 40, 40, 1)).astype(np.float32)
    _, normalized = batch_norm(x, np.ones(1, np.float32), np.zeros(1, np.float32))
    assert abs(normalized.variance[0] / x.astype(np.float64).var() - 1) < 1e-3


def test_fixed_statistics_make_a_linear_map(pieces, dtype):
    x, dy = numbers(2, 3, 4, 2, dtype=dtype), numbers(2, 3, 4, 2, seed=1, dtype=dtype)
    gamma, beta, mean = (np.array(v, dtype) for v in ([2, -1], [0.5, 3], [1, -2]))
    variance = np.array([3, 8], dtype)
    y, normalized = batch_norm_fixed(x, gamma, beta, mean, variance, eps=1.0)
    assert_close(y, np.array([1, -1 / 3]) * (x - mean) + beta, dtype)
    dx, dgamma, dbeta = batch_norm_fixed_backward(dy, normalized, gamma)
    assert_close(dx, dy * np.array([1, -1 / 3]), dtype)
    assert_close(dgamma, (dy * (x - mean) / np.array([2, 3])).sum((0, 1, 2), dtype=np.float64), dtype)
    assert_close(dbeta, dy.sum((0, 1, 2), dtype=np.float64), dtype)


def test_arguments_are_left_alone():
    x, dy = numbers(2, 3, 4, 2), numbers(2, 3, 4, 2, seed=1)
    gamma, mean = np.array([2.0, 3.0]), np.array([1.0, 2.0])
    _, normalized = batch_norm(x, gamma, gamma)
    batch_norm_fixed(x, gamma, gamma, mean, gamma)
    batch_norm_backward(dy, normalized, gamma)
    np.testing.assert_array_equal(x, numbers(2, 3, 4, 2))
    np.testing.assert_array_equal(dy, numbers(2, 3, 4, 2, seed=1))
    np.testing.assert_array_equal(normalized.x, x)
    assert (gamma.tolist(), mean.tolist()) == ([2, 3], [1, 2])


def test_batch_norm_of_views_with_gaps():
    whole = numbers(2, 6, 7, 5)
    view = whole[:, 1:, 2:, 1:3]
    y, normalized = batch_norm(view, np.ones(2), np.zeros(2))
    assert_close(y, naive.batch_norm(view, np.ones(2), np.zeros(2)))
    dx = batch_norm_backward(view, normalized, np.ones(2))[0]
    assert_close(dx, naive.batch_norm_backward(view, view, np.ones(2))[0])
