"""Ground floor: which module an array belongs to, the way between host and device, and seeded random streams."""

import zlib
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array, or a CuPy array with the same interface."""

SumOverRanks: TypeAlias = Callable[[Array], None]
"""Replaces an array by its sum over all processes (ranks) that share a batch, in place and alike in each of them. All
must pass it the same shape and dtype, on the same kind of device."""


def namespace(array: Array) -> ModuleType:
    """Return the module (NumPy or CuPy) whose functions work on ``array``."""
    return np if isinstance(array, np.ndarray) else _cupy()


def on_gpu(array: Array) -> bool:
    """Return whether ``array`` lives on a GPU."""
    return not isinstance(array, np.ndarray)


def to_device_of(like: Array, array: Array) -> Array:
    """Return ``array`` where ``like`` is; it is copied only if it is elsewhere."""
    if on_gpu(like) == on_gpu(array):
        return array
    return to_host(array) if on_gpu(array) else namespace(like).asarray(array)


def to_host(array: Array) -> Array:
    """Return ``array`` in the host's memory, as NumPy's; the host waits for what a GPU has not finished."""
    host: Array = _cupy().asnumpy(array) if on_gpu(array) else array
    return host


def number(value: Any) -> float:
    """Return a single number as a Python float; a GPU's stays where it is, an array without axes.

    To read it would be to wait for all that the GPU has been told to do. It counts as a number in what follows, and
    ``float`` reads it when it is wanted.
    """
    result: float = float(value) if isinstance(value, np.generic | float) else value
    return result


def read_numbers(values: Sequence[float]) -> list[float]:
    """Return as Python floats what :func:`number` gave, waiting for a GPU once for all of them."""
    if not values or isinstance(values[0], float):
        return list(values)
    read: list[float] = to_host(_cupy().stack(list(values))).tolist()
    return read


@cache
def _on_device(numbers: tuple[float, ...], dtype: str, module: ModuleType) -> Array:
    array: Array = module.asarray(numbers, dtype)
    return array


def constants(numbers: tuple[float, ...], like: Array) -> Array:
    """Return a few numbers that never change as an array like ``like``: sent to a GPU once, and not with every step."""
    return _on_device(numbers, like.dtype.str, namespace(like))


def _cupy() -> ModuleType:
    import cupy

    module: ModuleType = cupy
    return module


def generator(seed: int, *key: int | str) -> np.random.Generator:
    """Return a random stream that depends on ``seed`` and ``key`` alone.

    Naming every stream (``generator(seed, "augment", epoch, index)``) instead of sharing one makes each draw
    independent of what was drawn before it: a resumed run repeats the interrupted one.

    >>> bool(generator(0, "a").integers(100) == generator(0, "a").integers(100))
    True
    """
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    # The length counts too: trailing zeros of an entropy list would be lost.
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, len(words), *words])))
