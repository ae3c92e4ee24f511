"""What a piece of code costs in other units than seconds: large arrays made, and the work of matrix products.

Seconds depend on the machine and on who else uses it. How many fresh large arrays a training step makes, and how many
operations its matrix products have, does not: a fusion that is lost, or a convolution that falls back to a slow form,
shows in these counts on any machine.
"""

import ctypes
import threading
import tracemalloc
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod

import numpy as np

from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import Pool

LARGE = 1_000_000
"""Bytes from which on an array counts as large."""


@dataclass
class Costs:
    """Filled in when the block ends; products are counted as they are made.

    Attributes
    ----------
    large_arrays : list of int
        Bytes of every large array whose memory came from the system, also of those that died at once.
    peak_bytes : int
        Highest amount of NumPy's and Python's memory over that at the beginning.
    block_bytes : int
        Memory of pooled arrays that had to come from the system.
    product_flops : int
        Operations of all calls of ``numpy.matmul``, a multiply-add counted as two.
    """

    large_arrays: list = field(default_factory=list)
    peak_bytes: int = 0
    block_bytes: int = 0
    product_flops: int = 0


@contextmanager
def counted():
    """Count the costs of a block."""
    costs = Costs()
    with _counting_products(costs), _counting_arrays(costs), _counting_blocks(costs):
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        try:
            yield costs
        finally:
            costs.peak_bytes = tracemalloc.get_traced_memory()[1] - before
            tracemalloc.stop()


@contextmanager
def _counting_products(costs):
    """Put a counter in the place of ``numpy.matmul``."""
    matmul, lock = np.matmul, threading.Lock()

    def counting(a, b, *args, **kwargs):
        y = matmul(a, b, *args, **kwargs)
        with lock:
            costs.product_flops += 2 * prod(y.shape) * a.shape[-1]
        return y

    np.matmul = counting
    try:
        yield
    finally:
        np.matmul = matmul


@contextmanager
def _counting_blocks(costs):
    """Count the memory of pooled arrays that came from the system: a pool's blocks, an arena's new pages."""
    fresh, take, touched = Pool._new_block, Arena._allocate, {}

    def counting(pool, size):
        if size >= LARGE:
            costs.large_arrays.append(size)
            costs.block_bytes += size
        return fresh(pool, size)

    def counting_pages(arena, size):
        number, begin = take(arena, size)
        segment = id(arena.segments[number])
        new = max(0, begin + size - touched.get(segment, 0))
        touched[segment] = touched.get(segment, 0) + new
        if size >= LARGE and new:
            costs.large_arrays.append(size)
        costs.block_bytes += new
        return number, begin

    Pool._new_block, Arena._allocate = counting, counting_pages
    try:
        yield
    finally:
        Pool._new_block, Arena._allocate = fresh, take


# NumPy asks a table of functions for the memory of its arrays (NEP 49). The table is put in through the C interface,
# whose functions have fixed places in a list.
_SET_HANDLER, _DEFAULT_HANDLER = 304, 306
_MALLOC = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t
_CALLOC = *_MALLOC, ctypes.c_size_t


class _Handler(ctypes.Structure):
    """``PyDataMem_Handler`` of NumPy's C interface."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    )


def _capsule_pointer(capsule, name):
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    return get(capsule, name)


_kept = []
"""Tables that arrays may still refer to: an array frees its memory by the table that it was made with."""


@contextmanager
def _counting_arrays(costs):
    """Let NumPy take memory through functions that count the large pieces, and pass on to the usual ones."""
    interface = ctypes.cast(
        _capsule_pointer(np._core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p)
    )
    default = ctypes.cast(interface[_DEFAULT_HANDLER], ctypes.POINTER(ctypes.py_object)).contents.value
    usual = ctypes.cast(_capsule_pointer(default, b"mem_handler"), ctypes.POINTER(_Handler)).contents
    # Called as what Python itself calls: they let go of the interpreter's lock, which must be held until then.
    usual_malloc, usual_calloc = ctypes.PYFUNCTYPE(*_MALLOC)(usual.malloc), ctypes.PYFUNCTYPE(*_CALLOC)(usual.calloc)

    def malloc(context, size):
        if size >= LARGE:
            costs.large_arrays.append(size)
        return usual_malloc(context, size)

    def calloc(context, count, size):
        if count * size >= LARGE:
            costs.large_arrays.append(count * size)
        return usual_calloc(context, count, size)

    functions = ctypes.CFUNCTYPE(*_MALLOC)(malloc), ctypes.CFUNCTYPE(*_CALLOC)(calloc)
    pointers = [ctypes.cast(f, ctypes.c_void_p) for f in functions]
    table = _Handler(b"counting", 1, usual.context, *pointers, usual.realloc, usual.free)
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    capsule = new(ctypes.addressof(table), b"mem_handler", None)
    _kept.append((table, functions, capsule))
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(interface[_SET_HANDLER])
    before = set_handler(capsule)
    try:
        yield
    finally:
        set_handler(before)
