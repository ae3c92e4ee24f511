"""Reuse the memory of large arrays.

A training step allocates and frees the same arrays over and over. The system clears fresh memory page by page at its
first use, which costs more than the arithmetic that fills it. :func:`pooled_empty` keeps the memory of large arrays
when they are freed, and reuses it for the next array of about the same size. This is automatic: as soon as an array and
all its views are freed, its memory can be reused.
"""

import ctypes
import mmap
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any, Protocol

import numpy as np

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.cpu.forks import in_every_child

LARGE = 1 << 16
"""Arrays of at least this many bytes are kept; below it, the C library reuses memory well."""

PATIENCE = 4096
"""Idle memory of a size is freed after this number of calls without a request for the size."""

SLACK = 1.5
"""Largest ratio of a block's size to the requested size."""


class Shared(mmap.mmap):
    """Memory that is shared with forked processes instead of copied."""

    def __new__(cls, size: int) -> "Shared":
        """Take ``size`` bytes, all 0, from the system."""
        return super().__new__(cls, -1, size)


def replace_by_copy(memory: mmap.mmap) -> None:
    """Replace shared memory by private memory with the same contents and address; its arrays stay valid."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    contents = bytes(memory)
    fixed = 0x10  # MAP_FIXED on Linux, macOS and the BSDs; Python's mmap module does not name it
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | fixed
    access = mmap.PROT_READ | mmap.PROT_WRITE
    size, offset = ctypes.c_size_t(len(memory)), ctypes.c_long(0)
    placed = library.mmap(ctypes.c_void_p(address), size, access, flags, -1, offset)
    if placed != address:
        raise OSError(ctypes.get_errno(), "a forked process could not copy the memory of a network")
    ctypes.memmove(address, contents, len(contents))


class Memory(Protocol):
    """Whatever arrays can be made in."""

    kind: type[Array]
    """Type of the arrays."""

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an uninitialised array."""


class Pool:
    """Idle blocks of memory, by size."""

    kind: type[Array] = np.ndarray

    def __init__(self) -> None:
        self.idle: dict[int, list[memoryview]] = {}
        self.last_asked: dict[int, int] = {}
        self.calls = 0
        self.alive: dict[int, weakref.ref[Array]] = {}

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array in a block of this pool; the block is returned when the array and all its views are freed."""
        if prod(shape) * dtype.itemsize < LARGE:
            return np.empty(shape, dtype)
        block = self._take(_size_class(prod(shape) * dtype.itemsize))
        whole: Array = np.frombuffer(block, dtype, prod(shape))  # its base is no array: views refer to it, not past it

        pool = weakref.ref(self)  # not self: a pool that is dropped lets go of its idle memory at once

        def back(_: "weakref.ref[Array]") -> None:
            if (here := pool()) is not None:
                del here.alive[id(block)]
                here.last_asked.setdefault(len(block), here.calls)  # let go of while it was in use
                here.idle.setdefault(len(block), []).append(block)

        self.alive[id(block)] = weakref.ref(whole, back)
        return whole.reshape(shape)

    def _take(self, size: int) -> memoryview:
        """Return an uninitialised block of at least ``size`` bytes."""
        self.calls += 1
        for fitting in (size, *sorted(s for s in list(self.idle) if size < s <= SLACK * size)):
            try:
                block = self.idle[fitting].pop()
            except (KeyError, IndexError):  # another thread may have been quicker
                continue
            self.last_asked[fitting] = self.calls
            return block
        self.last_asked[size] = self.calls
        self._let_go()
        return self._fresh(size)

    def _fresh(self, size: int) -> memoryview:
        """Take memory straight from the system, so that what is given back really goes there."""
        if not hasattr(mmap, "MAP_PRIVATE"):
            return memoryview(mmap.mmap(-1, size))
        return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    def forget(self) -> None:
        """Return all idle memory to the system."""
        self.idle.clear()

    def _let_go(self) -> None:
        """Return blocks that have long been unused to the system."""
        for size, call in list(self.last_asked.items()):
            if call < self.calls - PATIENCE:
                self.idle.pop(size, None)
                self.last_asked.pop(size, None)


_COMMON = Pool()
_MEMORY: ContextVar[Memory] = ContextVar("memory", default=_COMMON)  # one for all threads


@contextmanager
def using(memory: Memory) -> Iterator[None]:
    """Make arrays in ``memory`` inside this block."""
    token = _MEMORY.set(memory)
    try:
        yield
    finally:
        _MEMORY.reset(token)


def common_pool() -> Pool:
    """Return the default pool for arrays."""
    return _COMMON


def pooled_empty(like: Array, shape: tuple[int, ...], dtype: Any = None) -> Array:
    """Return an uninitialised array on the device of ``like``; the dtype defaults to that of ``like``."""
    xp = get_array_module(like)
    dtype = np.dtype(like.dtype if dtype is None else dtype)
    if xp is not np:
        fresh: Array = xp.empty(shape, dtype)
        return fresh
    memory = _MEMORY.get()
    array = memory.array(shape, dtype)
    return array if memory.kind is np.ndarray else array.view(memory.kind)


_KEPT: "weakref.WeakSet[Shared]" = weakref.WeakSet()
"""Shared memory whose contents outlive a pass: parameters, gradients, the optimiser's arrays."""


def shared_zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return zeros in memory that the worker processes of a replay share, and other forked processes copy."""
    dtype = np.dtype(dtype)
    memory = Shared(max(1, prod(shape) * dtype.itemsize))
    _KEPT.add(memory)
    array: Array = np.frombuffer(memory, dtype, prod(shape))
    return array.reshape(shape)


@in_every_child
def _copy_shared_memory() -> None:
    """Give a forked child a copy of its own, at the same address, of the memory that it would share with its parent.

    Without it a child that trains its copy of a network would change the parent's parameters.
    """
    for memory in list(_KEPT):
        replace_by_copy(memory)


def shared_copy(array: Array) -> Array:
    """Return a copy in memory that forked processes share."""
    result = shared_zeros(array.shape, array.dtype)
    np.copyto(result, array)
    return result


def pooled_zeros(like: Array, shape: tuple[int, ...], dtype: Any = None) -> Array:
    """Return an array of zeros on the device of ``like``."""
    array = pooled_empty(like, shape, dtype)
    array.fill(0)
    return array


def _size_class(size: int) -> int:
    """Round up to four significant bits, so that sizes which differ by little share their memory.

    >>> _size_class(65_536), _size_class(65_537)
    (65536, 73728)
    """
    step = 1 << max(0, size.bit_length() - 4)
    return -(-size // step) * step
