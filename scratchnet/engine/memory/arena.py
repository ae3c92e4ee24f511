"""The memory of a recording: long stretches that arrays are allocated from, lowest free address first.

A recorded training step allocates its arrays in the same order every time: the forward pass allocates them one after
the other, and the backward pass frees them in reverse. Allocated from one stretch of memory they leave no gaps, and the
step takes no more memory than its peak of live arrays. (Blocks of fixed sizes, which `recycling.Pool` keeps for arrays
in any order, took a third more here.)
"""

import mmap
import os
import weakref
from bisect import insort
from collections import deque
from math import prod
from threading import Lock
from typing import Any, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.memory.pool import LARGE, Shared

STRETCH = 1 << (26 if os.name == "nt" else 30)
"""Bytes requested from the system at once. Most systems only allocate pages when they are first written to."""

_PIECE = 1 << 22
"""Bytes of the pieces that small arrays are carved from."""


Gap: TypeAlias = tuple[int, int, int]
"""Index of the stretch, start and end of the gap."""


class Arena:
    """Memory that a forked process shares, and does not get a copy of.

    Parameters
    ----------
    kind : type
        Of the arrays that are made while this workspace is in use.
    """

    def __init__(self, kind: type[Array] = np.ndarray) -> None:
        self.kind = kind
        self.stretches: list[memoryview] = []
        self.free: list[Gap] = []
        """In order; no two touch."""
        self.returned: deque[Gap] = deque()
        """Places of freed arrays. A deque, because arrays may be freed at any time, in any thread."""
        self.alive: dict[int, weakref.ref[Array]] = {}
        self._lock = Lock()
        self.piece, self.used = memoryview(b""), 0

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array; the memory of a large one is freed when the array and all its views are."""
        if prod(shape) * dtype.itemsize < LARGE:
            return self._small(shape, dtype)
        size = -(-prod(shape) * dtype.itemsize // mmap.PAGESIZE) * mmap.PAGESIZE
        with self._lock:
            self.collect()
            number, begin = self._take(size)
        block = self.stretches[number][begin : begin + size]
        whole: Array = np.frombuffer(block, dtype, prod(shape))  # its base is no array: views refer to it, not past it

        space = weakref.ref(self)  # not self: a workspace that is dropped lets go of its memory at once

        def back(_: "weakref.ref[Array]") -> None:
            if (here := space()) is not None:
                del here.alive[id(block)]
                here.returned.append((number, begin, begin + size))

        self.alive[id(block)] = weakref.ref(whole, back)
        return whole.reshape(shape)

    def _take(self, size: int) -> tuple[int, int]:
        """Take ``size`` bytes from the first gap that is large enough; return the stretch and the offset."""
        fitting = (place for place, (_, begin, end) in enumerate(self.free) if end - begin >= size)
        if (place := next(fitting, None)) is None:
            self.stretches.append(_stretch(size))
            place = len(self.free)
            self.free.append((len(self.stretches) - 1, 0, len(self.stretches[-1])))
        number, begin, end = self.free[place]
        self.free[place : place + 1] = [(number, begin + size, end)] if begin + size < end else []
        return number, begin

    def collect(self) -> None:
        """Turn the places of freed arrays into gaps, merged with adjacent gaps."""
        while self.returned:
            number, begin, end = self.returned.popleft()
            for touching in [gap for gap in self.free if gap[0] == number and (gap[2] == begin or gap[1] == end)]:
                self.free.remove(touching)
                begin, end = min(begin, touching[1]), max(end, touching[2])
            insort(self.free, (number, begin, end))

    def _small(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return a small array from a piece whose memory is not reused, to avoid many small gaps."""
        size = prod(shape) * dtype.itemsize
        if size <= 0:
            return np.empty(shape, dtype)
        with self._lock:
            if self.used + size > len(self.piece):
                self.piece, self.used = memoryview(Shared(_PIECE)), 0
            array: Array = np.frombuffer(self.piece, dtype, prod(shape), self.used)
            self.used += -(-size // 64) * 64  # a cache line, and the widest vector register
        return array.reshape(shape)


def _stretch(size: int) -> memoryview:
    """Allocate a stretch of at least ``size`` bytes; exactly ``size`` if the system grants no more."""
    if size < STRETCH:
        try:
            return memoryview(Shared(STRETCH))
        except OSError:
            pass
    return memoryview(Shared(size))
