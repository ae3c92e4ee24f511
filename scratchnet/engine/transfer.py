"""Copy arrays and scalars between host memory and a GPU."""

from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from scratchnet.engine.array_module import cupy_module, get_array_module, on_gpu
from scratchnet.engine.array_types import Array


def to_device_of(like: Array, array: Array) -> Array:
    """Return ``array`` on the device of ``like``, copied only if it is on another device."""
    if on_gpu(like) == on_gpu(array):
        return array
    return to_host(array) if on_gpu(array) else get_array_module(like).asarray(array)


def to_host(array: Array) -> Array:
    """Return ``array`` as a NumPy array in host memory; waits for the GPU to finish."""
    host: Array = cupy_module().asnumpy(array) if on_gpu(array) else array
    return host


def to_scalar(value: Any) -> float:
    """Return a single value as a Python float; on a GPU return a zero-dimensional array on the device.

    Reading it would wait for all work queued on the GPU. The array can be used like a number, and ``float`` reads its
    value.
    """
    result: float = float(value) if isinstance(value, np.generic | float) else value
    return result


def read_scalars(values: Sequence[float]) -> list[float]:
    """Convert results of :func:`to_scalar` to Python floats, waiting for a GPU only once."""
    if not values or isinstance(values[0], float):
        return list(values)
    read: list[float] = to_host(cupy_module().stack(list(values))).tolist()
    return read


@cache
def _on_device(values: tuple[float, ...], dtype: str, module: ModuleType) -> Array:
    array: Array = module.asarray(values, dtype)
    return array


def constants(values: tuple[float, ...], like: Array) -> Array:
    """Return constant values as an array like ``like``; they are copied to a GPU once, not in every step."""
    return _on_device(values, like.dtype.str, get_array_module(like))
