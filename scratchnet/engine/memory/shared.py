"""Memory that forked worker processes share with their parent."""

import ctypes
import mmap
import weakref
from math import prod
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.forks import after_fork_in_child


class SharedMemory(mmap.mmap):
    """Memory that is shared with forked processes instead of copied."""

    def __new__(cls, size: int) -> "SharedMemory":
        """Allocate ``size`` zero bytes from the system."""
        return super().__new__(cls, -1, size)


_PERSISTENT: "weakref.WeakSet[SharedMemory]" = weakref.WeakSet()
"""Shared memory whose contents outlive a pass: parameters, gradients, the optimiser's arrays."""


def shared_zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return zeros in memory that the worker processes of a capture share. Other forked processes get a copy."""
    dtype = np.dtype(dtype)
    memory = SharedMemory(max(1, prod(shape) * dtype.itemsize))
    _PERSISTENT.add(memory)
    array: Array = np.frombuffer(memory, dtype, prod(shape))
    return array.reshape(shape)


def shared_copy(array: Array) -> Array:
    """Return a copy in memory that forked processes share."""
    result = shared_zeros(array.shape, array.dtype)
    np.copyto(result, array)
    return result


@after_fork_in_child
def _copy_shared_memory() -> None:
    """Give a forked child its own copy, at the same address, of the memory that it would share with its parent.

    Without it, a child that trains its copy of a network would change the parent's parameters.
    """
    for memory in list(_PERSISTENT):
        make_private(memory)


def make_private(memory: mmap.mmap) -> None:
    """Replace shared memory by private memory with the same contents and address; its arrays stay valid."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    contents = bytes(memory)
    fixed = 0x10  # MAP_FIXED on Linux, macOS and the BSDs; Python's mmap module does not name it
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | fixed
    access = mmap.PROT_READ | mmap.PROT_WRITE
    size, offset = ctypes.c_size_t(len(memory)), ctypes.c_long(0)
    mapped = library.mmap(ctypes.c_void_p(address), size, access, flags, -1, offset)
    if mapped != address:
        raise OSError(ctypes.get_errno(), "a forked process could not copy the memory of a network")
    ctypes.memmove(address, contents, len(contents))
