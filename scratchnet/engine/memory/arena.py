"""Memory of a captured program: large segments from which arrays are allocated at the lowest free address.

A captured training step allocates its arrays in the same order every time: the forward pass allocates them one after
the other, and the backward pass frees them in reverse. Allocated from one segment they leave no gaps, and the step
takes no more memory than its peak of live arrays. (Blocks of fixed sizes, which `pool.Pool` keeps for arrays in any
order, took a third more here.) Small arrays, which would leave many small gaps, use blocks of fixed sizes in segments
of their own.
"""

import mmap
import os
from bisect import insort
from collections import defaultdict, deque
from math import prod
from threading import Lock
from typing import Any, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.memory.block_owner import BlockOwner
from scratchnet.engine.memory.pool import MIN_POOLED_BYTES, size_class
from scratchnet.engine.memory.shared import SharedMemory

SEGMENT_BYTES = 1 << (26 if os.name == "nt" else 30)
"""Bytes requested from the system at once. Most systems only allocate pages when they are first written to."""

SMALL_SEGMENT_BYTES = 1 << 22
"""Bytes of the segments from which small arrays are allocated."""

_LINE_BYTES = 64
"""Bytes of a cache line, and of the widest vector register: small arrays begin at multiples."""


Gap: TypeAlias = tuple[int, int, int]
"""Index of the segment, start and end of the gap."""


class Arena(BlockOwner):
    """Memory that forked processes share instead of getting a copy.

    Parameters
    ----------
    array_type : type
        Type of the arrays that are allocated from this arena.
    lender : Arena or None
        The arena whose memory this one uses for large arrays; None for memory from the system. Freed memory is
        available to the lender only after :meth:`give_back`.
    """

    def __init__(self, array_type: type[Array] = np.ndarray, lender: "Arena | None" = None) -> None:
        super().__init__()
        self.array_type = array_type
        self.segments: list[memoryview] = [] if lender is None else lender.segments
        self.gaps: list[Gap] = []
        """In order; no two are adjacent."""
        self.freed: deque[Gap] = deque()
        """Locations of freed arrays. A deque, because arrays may be freed at any time, in any thread."""
        self._lender = lender
        self._lock = Lock()
        self._small_segment, self._small_used = memoryview(b""), 0
        self._idle: defaultdict[int, list[memoryview]] = defaultdict(list)
        """Memory of freed small arrays, by size."""

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array; its memory is reclaimed when the array and all its views are freed."""
        if prod(shape) * dtype.itemsize < MIN_POOLED_BYTES:
            return self._small_array(shape, dtype)
        size = -(-prod(shape) * dtype.itemsize // mmap.PAGESIZE) * mmap.PAGESIZE
        with self._lock:
            self.collect()
            index, begin = self._allocate(size)
        block, gap = self.segments[index][begin : begin + size], (index, begin, begin + size)
        return self.array_on(block, shape, dtype, lambda arena: arena.freed.append(gap))

    def _allocate(self, size: int) -> tuple[int, int]:
        """Allocate ``size`` bytes from the first gap that is large enough; return its segment and offset."""
        fitting = (k for k, (_, begin, end) in enumerate(self.gaps) if end - begin >= size)
        if (k := next(fitting, None)) is None:
            if self._lender is not None:
                return self._lender._allocate(size)
            self.segments.append(_new_segment(size))
            k = len(self.gaps)
            self.gaps.append((len(self.segments) - 1, 0, len(self.segments[-1])))
        index, begin, end = self.gaps[k]
        self.gaps[k : k + 1] = [(index, begin + size, end)] if begin + size < end else []
        return index, begin

    def collect(self) -> None:
        """Turn the locations of freed arrays into gaps, merged with adjacent gaps."""
        while self.freed:
            index, begin, end = self.freed.popleft()
            for adjacent in [gap for gap in self.gaps if gap[0] == index and (gap[2] == begin or gap[1] == end)]:
                self.gaps.remove(adjacent)
                begin, end = min(begin, adjacent[1]), max(end, adjacent[2])
            insort(self.gaps, (index, begin, end))

    def give_back(self) -> None:
        """Give the memory of freed large arrays back to the lender."""
        assert self._lender is not None  # only arenas with a lender call this
        with self._lock:
            self.collect()
            self._lender.freed.extend(self.gaps)
            self.gaps.clear()

    def _small_array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array in a freed block of the same size, or in a new one; blocks are never merged."""
        if (size := prod(shape) * dtype.itemsize) <= 0:
            return np.empty(shape, dtype)
        size = size_class(-(-size // _LINE_BYTES) * _LINE_BYTES)
        with self._lock:
            block = self._idle[size].pop() if self._idle[size] else self._new_small_block(size)
        return self.array_on(block, shape, dtype, lambda arena: arena._idle[size].append(block))

    def _new_small_block(self, size: int) -> memoryview:
        if self._small_used + size > len(self._small_segment):
            self._small_segment, self._small_used = memoryview(SharedMemory(SMALL_SEGMENT_BYTES)), 0
        self._small_used += size
        return self._small_segment[self._small_used - size : self._small_used]


def _new_segment(size: int) -> memoryview:
    """Allocate a segment of at least ``size`` bytes; exactly ``size`` if the system grants no more."""
    if size < SEGMENT_BYTES:
        try:
            return memoryview(SharedMemory(SEGMENT_BYTES))
        except OSError:
            pass
    return memoryview(SharedMemory(size))
