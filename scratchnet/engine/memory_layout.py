"""Memory layout: copy pixels, repeat one for a row, and copy strided arrays to C order."""

from typing import Any

import numpy as np

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.capture import TracedArray
from scratchnet.engine.memory.pool import pooled_empty


def copy_pixels(source: Array, target: Array) -> None:
    """Copy pixels (…, c) from ``source`` to ``target``, strided or not.

    If the channels of a pixel are contiguous, they are copied as one element of c values: otherwise NumPy would restart
    its inner loop at every pixel, which takes longer than copying so few values.
    """
    if get_array_module(source) is np and source.strides[-1] == target.strides[-1] == source.itemsize:
        pixel = np.dtype((np.void, source.shape[-1] * source.itemsize))
        source, target = source.view(pixel), target.view(pixel)
    target[...] = source


def row_of(pixel: Array, count: int) -> Array:
    """Repeat a pixel's values (c,) for a row of ``count`` pixels: (count·c,).

    NumPy then multiplies a whole row in one run instead of restarting its inner loop at every pixel.
    """
    row = pooled_empty(pixel, (count, len(pixel)))
    row[...] = pixel
    return row.reshape(-1)


def contiguous_copy(array: Array, dtype: Any = None) -> Array:
    """Return a copy in C order and native byte order, converted to ``dtype`` if it is given."""
    dtype = array.dtype.newbyteorder("=") if dtype is None else np.dtype(dtype)
    copied = pooled_empty(array, array.shape, dtype)
    if dtype == array.dtype and array.ndim > 1 and array.size:
        copy_pixels(array, copied)
    else:
        copied[...] = array
    return copied


def overlaps_itself(array: Array) -> bool:
    """Return whether elements may share memory, as in a broadcast array, which cannot be written to."""
    if not array.size:
        return False
    extent = array.itemsize
    for stride, size in sorted((abs(s), n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1):
        if stride < extent:
            return True
        extent += stride * (size - 1)
    return False


def partly_overlap(a: Array, b: Array) -> bool:
    """Return whether two NumPy arrays share memory without being the same array."""
    a, b = a.view(np.ndarray), b.view(np.ndarray)  # untraced, because a capture does not need to record this
    if not np.may_share_memory(a, b):
        return False
    return a.ctypes.data != b.ctypes.data or a.shape != b.shape or a.strides != b.strides


def without_subclass(array: Array, operation: str, name: str) -> Array:
    """Convert a subclass (a memmap, a matrix), whose operators may behave differently, to a plain array.

    Raises
    ------
    TypeError
        If the array is masked, because its mask would be lost.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{operation}: {name} is a masked array; use {name}.filled(…)")
    return array if isinstance(array, TracedArray) else array.view(np.ndarray)
