"""Memory of a captured program: large segments from which arrays are allocated at the lowest free address.

A captured training step allocates its arrays in the same order every time: the forward pass allocates them one after
the other, and the backward pass frees them in reverse. Allocated from one segment they leave no gaps, and the step
takes no more memory than its peak of live arrays. (Blocks of fixed sizes, which `pool.Pool` keeps for arrays in any
order, took a third more here.)
"""

import mmap
import os
from bisect import insort
from collections import deque
from math import prod
from threading import Lock
from typing import Any, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.memory.block_owner import BlockOwner
from scratchnet.engine.memory.pool import MIN_POOLED_BYTES
from scratchnet.engine.memory.shared import SharedMemory

SEGMENT_BYTES = 1 << (26 if os.name == "nt" else 30)
"""Bytes requested from the system at once. Most systems only allocate pages when they are first written to."""

SMALL_SEGMENT_BYTES = 1 << 22
"""Bytes of the segments from which small arrays are allocated."""


Gap: TypeAlias = tuple[int, int, int]
"""Index of the segment, start and end of the gap."""


class Arena(BlockOwner):
    """Memory that forked processes share instead of getting a copy.

    Parameters
    ----------
    array_type : type
        Type of the arrays that are allocated from this arena.
    """

    def __init__(self, array_type: type[Array] = np.ndarray) -> None:
        super().__init__()
        self.array_type = array_type
        self.segments: list[memoryview] = []
        self.gaps: list[Gap] = []
        """In order; no two are adjacent."""
        self.freed: deque[Gap] = deque()
        """Locations of freed arrays. A deque, because arrays may be freed at any time, in any thread."""
        self._lock = Lock()
        self._small_segment, self._small_used = memoryview(b""), 0

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array; the memory of a large one is reclaimed when the array and all its views are freed."""
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

    def _small_array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return a small array from a segment whose memory is not reused, to avoid many small gaps."""
        size = prod(shape) * dtype.itemsize
        if size <= 0:
            return np.empty(shape, dtype)
        with self._lock:
            if self._small_used + size > len(self._small_segment):
                self._small_segment, self._small_used = memoryview(SharedMemory(SMALL_SEGMENT_BYTES)), 0
            array: Array = np.frombuffer(self._small_segment, dtype, prod(shape), self._small_used)
            self._small_used += -(-size // 64) * 64  # a cache line, and the widest vector register
        return array.reshape(shape)


def _new_segment(size: int) -> memoryview:
    """Allocate a segment of at least ``size`` bytes; exactly ``size`` if the system grants no more."""
    if size < SEGMENT_BYTES:
        try:
            return memoryview(SharedMemory(SEGMENT_BYTES))
        except OSError:
            pass
    return memoryview(SharedMemory(size))
