"""Conversion of raw bytes to arrays, shared by the formats of weight files."""

from collections.abc import Sequence
from math import prod

import numpy as np

from scratchnet.arrays import Array

STORED = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": "<u2",  # the upper half of a float32; NumPy has no such type
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "|i1",
    "uint8": "|u1",
    "bool": "|b1",
}
"""Data types of weight files, and the NumPy type that reads each."""


def byte_count(kind: str, count: int) -> int:
    """Return the size of ``count`` elements of a type in bytes."""
    return count * np.dtype(STORED[kind]).itemsize


def as_array(
    data: bytes, kind: str, shape: Sequence[int], offset: int = 0, strides: Sequence[int] | None = None
) -> Array:
    """Return a view of raw bytes as an array (of bfloat16: a float32 copy).

    Parameters
    ----------
    data : bytes
    kind : str
        A key of :data:`STORED`.
    shape : sequence of int
    offset : int
        Position of the first element, in elements.
    strides : sequence of int or None
        Distance between neighbours along each axis, in elements; None means contiguous.

    Raises
    ------
    ValueError, TypeError
        If the array extends beyond the data or, because of strides of 0, has more elements than the data.
    """
    dtype = np.dtype(STORED[kind])
    if prod(shape) * dtype.itemsize > len(data):
        raise ValueError(f"an array of shape {tuple(shape)} in {len(data)} bytes")
    steps = None if strides is None else [step * dtype.itemsize for step in strides]
    array: Array = np.ndarray(tuple(shape), dtype, data, offset * dtype.itemsize, steps)
    if kind == "bfloat16":
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array
