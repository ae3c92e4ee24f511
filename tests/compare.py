"""Random arrays and comparisons that the tests of the mathematics share."""

import numpy as np


def numbers(*shape, seed=0, dtype=np.float64):
    """Standard normal numbers; the same for the same arguments."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def distinct(*shape, seed=0, dtype=np.float64):
    """A shuffled, evenly spaced range round 0: no two numbers tie."""
    count = int(np.prod(shape))
    values = np.random.default_rng([seed, *shape]).permutation(count) - count / 2 + 0.25
    return (values / 8).reshape(shape).astype(dtype)


def image(rows, dtype=np.float64):
    """One map of one channel, (1, h, w, 1), from a table of rows."""
    return np.array(rows, dtype)[None, :, :, None]


def assert_close(actual, expected, dtype=np.float64, scale=1.0):
    """Assert equal shapes, the dtype, and values equal up to rounding, measured against the largest value."""
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    tolerance = (2e-5 if dtype == np.float32 else 1e-12) * scale
    largest = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * largest)


SPECIAL = [np.inf, -np.inf, np.nan, -0.0, 0.0, 1.0, 1.0, -1.0]


def special(*shape, dtype=np.float64, seed=0):
    """Return a map of mostly ordinary numbers, and many infinite, NaN, zero and equal ones."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(shape) < 0.5, rng.choice(SPECIAL, shape), rng.standard_normal(shape))
    return x.astype(dtype)
