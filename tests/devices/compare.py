"""Moving arrays, and whatever holds arrays, between devices; comparing what comes back."""

from dataclasses import fields, is_dataclass, replace

import numpy as np

from scratchnet.arrays import to_host
from scratchnet.ops.normalized import Normalized

TOLERANCE = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-9}
"""Largest error, measured against the largest number."""


def up(value, xp):
    """Return a value with device arrays in the place of NumPy's."""
    return _changed(value, lambda array: xp.asarray(array) if isinstance(array, np.ndarray) else array)


def down(value):
    """Return a value with NumPy arrays in the place of a device's."""
    return _changed(value, lambda array: to_host(array) if hasattr(array, "dtype") else array)


def _changed(value, change):
    if isinstance(value, tuple | list):
        return type(value)(_changed(v, change) for v in value)
    if isinstance(value, dict):
        return {k: _changed(v, change) for k, v in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _changed(getattr(value, f.name), change) for f in fields(value)})
    return change(value)


def assert_same(actual, expected, where="result"):
    """Assert that what came down from a device is what NumPy gives: the same dtypes, shapes and, nearly, numbers."""
    if expected is None:
        assert actual is None, where
    elif isinstance(expected, tuple | list):
        assert len(actual) == len(expected), where
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            assert_same(a, e, f"{where}[{i}]")
    elif isinstance(expected, Normalized):  # x may be the input or the input minus a value
        for name in ("mean", "variance", "inverse_std", "x_hat"):
            assert_same(getattr(actual, name), getattr(expected, name), f"{where}.{name}")
        assert_same(actual.positive(), expected.positive(), f"{where}.positive()")
    elif is_dataclass(expected):
        for field in fields(expected):
            assert_same(getattr(actual, field.name), getattr(expected, field.name), f"{where}.{field.name}")
    elif isinstance(expected, np.ndarray) and expected.dtype in TOLERANCE:
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), where
        largest = max(1e-30, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[expected.dtype] * largest, err_msg=where)
    elif isinstance(expected, float):
        np.testing.assert_allclose(float(actual), expected, rtol=1e-4, err_msg=where)
    else:
        np.testing.assert_array_equal(actual, expected, err_msg=where)
