"""Ground floor: which module an array belongs to, and seeded random streams."""

import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array, or a CuPy array with the same interface."""

SumOverRanks: TypeAlias = Callable[[Array], None]
"""Replaces an array by its sum over all processes (ranks) that share a batch, in place and alike in each of them."""


def namespace(array: Array) -> ModuleType:
    """Return the module (NumPy or CuPy) whose functions work on ``array``."""
    if isinstance(array, np.ndarray):
        return np
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
