"""The arrays and switches that a check passes to the checked functions: float64 copies, on any device."""

from dataclasses import replace
from types import ModuleType
from typing import TypeVar

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.ops.switches import Switches

V = TypeVar("V", Array, Switches, Array | Switches)


def float64_copy(array: Array) -> Array:
    """Return a contiguous float64 copy, so that the checked function cannot change the caller's array."""
    return np.array(array, np.float64, order="C")


def to_module(value: V, xp: ModuleType) -> V:
    """Return an array or switches on the device of ``xp``; for NumPy without a copy."""
    if isinstance(value, Switches):
        return replace(value, index=xp.asarray(value.index))
    there: Array = xp.asarray(value)
    return there


def enlarged(value: V, axis: int) -> V:
    """Return the value twice as long along an axis: its elements, then the same elements in another order."""
    if isinstance(value, Switches):
        return replace(value, index=np.concatenate([value.index, value.index], axis))
    if value.ndim <= axis:
        return value
    return np.concatenate([value, generator(5, "enlarged").permuted(value)], axis)


def shape_of(value: Array | Switches) -> tuple[int, ...]:
    """Return the shape that ``output_shape`` receives: for switches, that of the map that they restore."""
    if isinstance(value, Switches):
        return value.index.shape[0], *value.size, value.index.shape[3]
    return value.shape
