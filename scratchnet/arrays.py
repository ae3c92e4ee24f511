"""Array basics: the module an array belongs to, copies between host and device, and seeded random streams."""

import zlib
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array, or a CuPy array with the same interface."""

AllReduce: TypeAlias = Callable[[Array], None]
"""Replaces an array in place by its sum over all processes (ranks) that share a batch, identically in each of them.
All must pass the same shape and dtype, on the same kind of device."""


def get_array_module(array: Array) -> ModuleType:
    """Return the module (NumPy or CuPy) whose functions work on ``array``."""
    return np if isinstance(array, np.ndarray) else _cupy()


def on_gpu(array: Array) -> bool:
    """Return whether ``array`` is on a GPU."""
    return not isinstance(array, np.ndarray)


def to_device_of(like: Array, array: Array) -> Array:
    """Return ``array`` on the device of ``like``, copied only if it is on another device."""
    if on_gpu(like) == on_gpu(array):
        return array
    return to_host(array) if on_gpu(array) else get_array_module(like).asarray(array)


def to_host(array: Array) -> Array:
    """Return ``array`` as a NumPy array in host memory; waits for the GPU to finish."""
    host: Array = _cupy().asnumpy(array) if on_gpu(array) else array
    return host


def number(value: Any) -> float:
    """Return a single number as a Python float; on a GPU return a zero-dimensional array on the device.

    Reading it would wait for all work queued on the GPU. The array can be used like a number, and ``float`` reads its
    value.
    """
    result: float = float(value) if isinstance(value, np.generic | float) else value
    return result


def read_numbers(values: Sequence[float]) -> list[float]:
    """Convert results of :func:`number` to Python floats, waiting for a GPU only once."""
    if not values or isinstance(values[0], float):
        return list(values)
    read: list[float] = to_host(_cupy().stack(list(values))).tolist()
    return read


@cache
def _on_device(numbers: tuple[float, ...], dtype: str, module: ModuleType) -> Array:
    array: Array = module.asarray(numbers, dtype)
    return array


def constants(numbers: tuple[float, ...], like: Array) -> Array:
    """Return constant numbers as an array like ``like``; they are copied to a GPU once, not in every step."""
    return _on_device(numbers, like.dtype.str, get_array_module(like))


def _cupy() -> ModuleType:
    import cupy

    module: ModuleType = cupy
    return module


def generator(seed: int, *key: int | str) -> np.random.Generator:
    """Return a random stream that depends only on ``seed`` and ``key``.

    With a named stream for every purpose (``generator(seed, "augment", epoch, index)``) each draw is independent of
    earlier draws, so a resumed run repeats the interrupted one.

    >>> bool(generator(0, "a").integers(100) == generator(0, "a").integers(100))
    True
    """
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    # The length counts too: trailing zeros of an entropy list would be lost.
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, len(words), *words])))
