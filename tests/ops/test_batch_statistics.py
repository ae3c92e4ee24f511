"""Batch norm's mean and variance are accurate whatever the data look like, whichever rows are read first."""

import numpy as np
import pytest

from scratchnet.ops.normalization import batch_norm, batch_statistics
from scratchnet.ops.synchronized import shared_batch_norm
from tests.compare import numbers

pytestmark = pytest.mark.usefixtures("form")

N, H, W, C = 4, 24, 20, 16


def noise(mean=0.0, std=1.0):
    return mean + std * np.random.default_rng(0).standard_normal((N, H, W, C))


def with_rows(value, *rows):
    x = noise(1000)
    x[rows] = value
    return x


DATA = {
    "noise": noise,
    "constant": lambda: np.full((N, H, W, C), 1000.1),
    "large mean, small deviation": lambda: noise(1000, 0.1),
    "the first row is 0": lambda: with_rows(0, 0, 0),
    "the first image is 0": lambda: with_rows(0, 0),
    "every eighth row is 0": lambda: with_rows(0, slice(None), slice(None, None, 8)),
    "all but every eighth row are noise": lambda: np.where(np.arange(H)[:, None, None] % 8 == 0, 1000.0, noise()),
    "the first pixel is far away": lambda: with_rows(1e6, 0, 0, 0),
    "half 0, half 1000": lambda: np.where(np.arange(H)[:, None, None] < H // 2, 0.0, noise(1000)),
    "an offset for each image": lambda: noise() + 500 * np.arange(N)[:, None, None, None],
    "an offset for each channel": lambda: noise() + 300 * np.arange(C),
    "sorted": lambda: np.sort(noise(100, 10).reshape(-1, C), axis=0).reshape(N, H, W, C),
    "sorted downwards": lambda: -np.sort(noise(100, 10).reshape(-1, C), axis=0).reshape(N, H, W, C),
    "zeros": lambda: np.zeros((N, H, W, C)),
}


def exact(x):
    wide = x.astype(np.float64).reshape(-1, x.shape[3])
    return wide.mean(axis=0), wide.var(axis=0)


def check(mean, variance, x):
    """Compare with float64: float32's rounding of the mean, and 1e-6 of the variance."""
    true_mean, true_variance = exact(x)
    np.testing.assert_allclose(mean, true_mean, rtol=1.5e-7, atol=1e-6 * np.sqrt(true_variance.max()) + 1e-30)
    np.testing.assert_allclose(variance, true_variance, rtol=1e-6, atol=1e-12 * max(1.0, float(np.abs(x).max())))


@pytest.mark.parametrize("data", DATA)
def test_statistics(data):
    x = DATA[data]().astype(np.float32)
    check(*batch_statistics(x), x)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("overwrite", [False, True])
def test_batch_norm(data, overwrite):
    x = DATA[data]().astype(np.float32)
    one = np.ones(C, np.float32)
    y, normalized = batch_norm(x.copy(), one, 0 * one, overwrite=overwrite)
    check(normalized.mean, normalized.variance, x)
    mean, variance = exact(x)
    expected = (x - mean) / np.sqrt(variance + 1e-5)
    if data != "constant":  # whose tiny remainder is divided by √ε
        np.testing.assert_allclose(y, expected, atol=2e-7 * np.abs(x).max() / np.sqrt(variance.min() + 1e-5) + 1e-5)


@pytest.mark.parametrize("data", DATA)
def test_a_batch_shared_by_processes(data):
    x = DATA[data]().astype(np.float32)
    one = np.ones(C, np.float32)
    sums = []
    for part in (x[:1], x[1:]):
        shared_batch_norm(part, one, 0 * one, lambda own: sums.append(own.copy()))

    def allreduce(own):
        own[...] = sum(sums)

    _, normalized, count = shared_batch_norm(x[:1], one, 0 * one, allreduce)
    assert count == N * H * W
    mean, variance = exact(x)
    np.testing.assert_allclose(normalized.mean, mean, rtol=2e-7, atol=1e-6 * np.sqrt(variance.max()))
    np.testing.assert_allclose(normalized.variance, variance, rtol=1e-6, atol=1e-12 * max(1.0, float(np.abs(x).max())))


@pytest.mark.parametrize(
    "shape", [(1, 1, 2, 1), (1, 1, 1, 3), (2, 1, 1, 3), (1, 7, 3, 2), (1, 9, 600, 5), (3, 65, 33, 8)]
)
def test_shapes(shape, dtype):
    x = numbers(*shape, dtype=dtype) + 100
    mean, variance = batch_statistics(x)
    true_mean, true_variance = exact(x)
    np.testing.assert_allclose(mean, true_mean, rtol=1e-6)
    np.testing.assert_allclose(variance, true_variance, rtol=1e-5, atol=1e-7)
