"""Memory pool: reuse the memory of large arrays.

A training step allocates and frees the same arrays over and over. The system clears fresh memory page by page at its
first use, which costs more than the arithmetic that fills it. :func:`pooled_empty` keeps the memory of large arrays
when they are freed, and reuses it for the next array of about the same size. This is automatic: as soon as an array and
all its views are freed, its memory can be reused.
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any, Protocol

import numpy as np

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.memory.block_owner import BlockOwner

MIN_POOLED_BYTES = 1 << 16
"""Minimum size of an array whose memory is pooled; below it, the C library reuses memory well."""

MAX_IDLE_CALLS = 4096
"""Idle blocks of a size are freed after this number of allocations without a request for the size."""

MAX_SIZE_RATIO = 1.5
"""Largest ratio of a block's size to the requested size."""


class Allocator(Protocol):
    """An object that allocates arrays."""

    array_type: type[Array]
    """Type of the arrays."""

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an uninitialised array."""


class Pool(BlockOwner):
    """Idle blocks of memory, by size."""

    array_type: type[Array] = np.ndarray

    def __init__(self) -> None:
        super().__init__()
        self.idle: dict[int, list[memoryview]] = {}
        self.last_request: dict[int, int] = {}
        self.calls = 0

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array in a block of this pool; the block is returned when the array and all its views are freed."""
        size = prod(shape) * dtype.itemsize
        if size < MIN_POOLED_BYTES:
            return np.empty(shape, dtype)
        block = self._block(size_class(size))
        return self.array_on(block, shape, dtype, lambda pool: pool._return(block))

    def _return(self, block: memoryview) -> None:
        """Make a block available again."""
        self.last_request.setdefault(len(block), self.calls)  # if its size was trimmed while the block was in use
        self.idle.setdefault(len(block), []).append(block)

    def _block(self, size: int) -> memoryview:
        """Return an uninitialised block of at least ``size`` bytes."""
        self.calls += 1
        for fitting in (size, *sorted(s for s in list(self.idle) if size < s <= MAX_SIZE_RATIO * size)):
            try:
                block = self.idle[fitting].pop()
            except (KeyError, IndexError):  # another thread may have been faster
                continue
            self.last_request[fitting] = self.calls
            return block
        self.last_request[size] = self.calls
        self._trim()
        return self._new_block(size)

    def _new_block(self, size: int) -> memoryview:
        """Allocate a block directly from the system, so that freeing it returns the memory to the system."""
        if not hasattr(mmap, "MAP_PRIVATE"):
            return memoryview(mmap.mmap(-1, size))
        return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    def free_idle(self) -> None:
        """Return all idle memory to the system."""
        self.idle.clear()

    def _trim(self) -> None:
        """Return blocks that have not been requested for a long time to the system."""
        for size, call in list(self.last_request.items()):
            if call < self.calls - MAX_IDLE_CALLS:
                self.idle.pop(size, None)
                self.last_request.pop(size, None)


_DEFAULT = Pool()
_ALLOCATOR: ContextVar[Allocator] = ContextVar("allocator", default=_DEFAULT)  # the default is shared by all threads


@contextmanager
def allocate_from(allocator: Allocator) -> Iterator[None]:
    """Allocate arrays from ``allocator`` inside this block."""
    token = _ALLOCATOR.set(allocator)
    try:
        yield
    finally:
        _ALLOCATOR.reset(token)


def default_pool() -> Pool:
    """Return the pool that arrays are allocated from by default."""
    return _DEFAULT


def pooled_empty(like: Array, shape: tuple[int, ...], dtype: Any = None) -> Array:
    """Return an uninitialised array on the device of ``like``; the dtype defaults to that of ``like``."""
    xp = get_array_module(like)
    dtype = np.dtype(like.dtype if dtype is None else dtype)
    if xp is not np:
        fresh: Array = xp.empty(shape, dtype)
        return fresh
    allocator = _ALLOCATOR.get()
    array = allocator.array(shape, dtype)
    return array if allocator.array_type is np.ndarray else array.view(allocator.array_type)


def pooled_zeros(like: Array, shape: tuple[int, ...], dtype: Any = None) -> Array:
    """Return an array of zeros on the device of ``like``."""
    array = pooled_empty(like, shape, dtype)
    array.fill(0)
    return array


def size_class(size: int) -> int:
    """Round up to four significant bits, so that similar sizes share their memory.

    >>> size_class(65_536), size_class(65_537)
    (65536, 73728)
    """
    step = 1 << max(0, size.bit_length() - 4)
    return -(-size // step) * step
