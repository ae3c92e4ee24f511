"""Batch-norm kernels against the CPU's."""

import numpy as np
import pytest

from scratchnet.engine.cuda import channel_sums
from scratchnet.engine.cuda import normalization as cuda
from scratchnet.ops import normalization
from tests.compare import assert_close, numbers

SHAPES = [
    (2, 5, 7, 3),
    (1, 3, 3, 33),  # one more than a block's channels
    (3, 1, 2, 1),
    (2, 40, 41, 2),  # several chunks, the last one shorter
    pytest.param((1, 17, 9, 70), marks=pytest.mark.sanitized),
]


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch):
    monkeypatch.setattr(channel_sums, "MAX_CHUNK", 300)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fixed", [False, True])
def test_forward_and_backward(kernels, dtype, shape, relu, fixed):
    c = shape[3]
    x = numbers(*shape, dtype=dtype) * 3 + 20
    gamma, beta, mean, variance = (numbers(c, seed=s, dtype=dtype) for s in range(4))
    if fixed:
        given = x, gamma, beta, mean + 20, variance**2 + 1, 1e-5, relu
        y, kept = cuda.batch_norm_fixed(*given)
        expected, normalized = normalization.batch_norm_fixed(*given)
    else:
        y, kept = cuda.batch_norm(x, gamma, beta, 1e-5, relu)
        expected, normalized = normalization.batch_norm(x, gamma, beta, 1e-5, relu)
    assert_close(y, expected, dtype, scale=5)
    for name in ("mean", "variance", "inverse_std"):
        assert_close(getattr(kept, name), getattr(normalized, name), dtype, scale=5)
    dy = numbers(*shape, seed=9, dtype=dtype)
    # Where the two sides round to different sides of 0, the ReLU's gradient differs: those pixels get none.
    dy[np.abs(expected) < 1e-5] = 0
    dy[(expected == 0) != (y == 0)] = 0
    name = "batch_norm_fixed_backward" if fixed else "batch_norm_backward"
    found, wanted = getattr(cuda, name)(dy, kept, gamma), getattr(normalization, name)(dy, normalized, gamma)
    for f, w in zip(found, wanted, strict=True):
        assert_close(f, w, dtype, scale=20)


def test_textbook_code_can_go_back_from_what_the_kernels_kept(kernels):
    x, dy, gamma, beta = numbers(2, 5, 7, 3), numbers(2, 5, 7, 3, seed=1), numbers(3), numbers(3, seed=1)
    _, kept = cuda.batch_norm(x, gamma, beta, relu=True)
    _, normalized = normalization.batch_norm(x, gamma, beta, relu=True)
    found = normalization.batch_norm_backward(dy, kept, gamma)
    for f, w in zip(found, normalization.batch_norm_backward(dy, normalized, gamma), strict=True):
        assert_close(f, w)


def test_the_variance_of_large_numbers(kernels):
    x = (numbers(4, 30, 31, 5) + 10_000).astype(np.float32)
    x[0, 0, 0] = 0  # a first pixel far from all others
    _, kept = cuda.batch_norm(x, *np.ones((2, 5), np.float32))
    np.testing.assert_allclose(kept.variance, x.astype(float).var((0, 1, 2)), rtol=1e-4)


def test_a_channel_of_one_value(kernels):
    x = np.full((2, 9, 9, 2), 0.1, np.float32)
    y, kept = cuda.batch_norm(x, *np.ones((2, 2), np.float32))
    assert (kept.variance >= 0).all()
    np.testing.assert_allclose(y, 1, atol=1e-4)
    assert np.isfinite(cuda.batch_norm_backward(x, kept, np.ones(2, np.float32))[0]).all()


def test_the_relu_keeps_nan(kernels):
    x = numbers(1, 2, 2, 2)
    x[0, 0, 0] = np.nan
    y, _ = cuda.batch_norm_fixed(x, *np.ones((4, 2)), relu=True)
    assert np.isnan(y[0, 0, 0]).all()
    assert np.isfinite(y).sum() == 6


def test_statistics_do_not_depend_on_the_first_pixels(kernels):
    x = 1000 + numbers(4, 64, 64, 3, dtype=np.float32)
    x[0, 0] = 0
    mean, variance = cuda.batch_statistics(x)
    wide = x.astype(np.float64).reshape(-1, 3)
    np.testing.assert_allclose(mean, wide.mean(axis=0), rtol=2e-7)
    np.testing.assert_allclose(variance, wide.var(axis=0), rtol=2e-6)
