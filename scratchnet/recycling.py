"""Large arrays whose memory is used again.

A training step makes and drops the same arrays over and over. Fresh memory comes from the system as pages that it
clears one by one at their first touch, which costs more than the arithmetic that fills them. So :func:`empty` keeps the
memory of large NumPy arrays when they die, and hands it to the next one of about the same size. Nobody has to give
anything back: the moment an array and all its views are gone, its memory is free for the next.
"""

import weakref
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from scratchnet.arrays import Array, namespace

LARGE = 1 << 16
"""Bytes from which on memory is kept; the C library's own recycling does well under it."""

PATIENCE = 4096
"""After so many calls in which nobody asked for memory of a size, that size's idle memory is let go of."""

_ALIGNMENT = 64  # a cache line, and the widest vector register


class _Pool:
    """Idle blocks of memory, by size."""

    def __init__(self) -> None:
        self.idle: dict[int, list[memoryview]] = {}
        self.last_asked: dict[int, int] = {}
        self.calls = 0
        self.alive: dict[int, weakref.ref[Array]] = {}

    def take(self, size: int) -> memoryview:
        """Return a block of ``size`` bytes; what is in it is left over from before."""
        self.calls += 1
        self.last_asked[size] = self.calls
        try:
            return self.idle[size].pop()
        except (KeyError, IndexError):
            for other in [s for s, call in self.last_asked.items() if call < self.calls - PATIENCE]:
                self.idle.pop(other, None)
                del self.last_asked[other]
            memory = np.empty(size + _ALIGNMENT, np.uint8)
            start = -memory.ctypes.data % _ALIGNMENT
            return memoryview(memory)[start : start + size]  # type: ignore[arg-type]

    def watch(self, array: Array, block: memoryview) -> None:
        """Take ``block`` back when ``array`` dies; views of the array keep it alive."""

        def back(reference: "weakref.ref[Array]") -> None:
            del self.alive[id(block)]
            self.idle.setdefault(len(block), []).append(block)

        self.alive[id(block)] = weakref.ref(array, back)


_POOL = _Pool()


def empty(like: Array, shape: tuple[int, ...], dtype: Any = None) -> Array:
    """Return an uninitialised array on the device of ``like``; of its dtype when none is given."""
    xp = namespace(like)
    dtype = np.dtype(like.dtype if dtype is None else dtype)
    size = prod(shape) * dtype.itemsize
    if xp is not np or size < LARGE:
        fresh: Array = xp.empty(shape, dtype)
        return fresh
    block = _POOL.take(_size_class(size))
    whole: Array = np.frombuffer(block, dtype, prod(shape))  # its base is no array: all views refer to it, not past it
    _POOL.watch(whole, block)
    return whole.reshape(shape)


def zeros(like: Array, shape: tuple[int, ...], dtype: Any = None) -> Array:
    """Return an array of zeros on the device of ``like``."""
    array = empty(like, shape, dtype)
    array.fill(0)
    return array


def _size_class(size: int) -> int:
    """Round up to three significant bits, so that sizes which differ by little share their memory.

    >>> _size_class(65_536), _size_class(65_537)
    (65536, 73728)
    """
    step = 1 << max(0, size.bit_length() - 4)
    return -(-size // step) * step


def forget(keep: Callable[[int], bool] = lambda size: False) -> None:
    """Give idle memory back to the system, but for the sizes that ``keep`` says yes to."""
    for size in list(_POOL.idle):
        if not keep(size):
            _POOL.idle.pop(size, None)
