"""Matrix products distributed over the cores, for convolutions whose kernel does not slide."""

from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.threads import parallel_for, parallel_map, thread_count
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros

SMALL_PRODUCT = 900_000
"""Multiply-adds up to which a BLAS multiplies matrices in place (OpenBLAS: a million). It copies the matrices of larger
products first, which takes long beside a product with few rows or columns."""

MIN_SMALL_ROWS = 24
"""Rows that a product is not cut below."""

MAX_UNCOPIED_OPERATIONS = 1 << 18
"""Multiply-adds up to which a BLAS reads a transposed matrix in place. For a larger product it copies the matrix, which
takes longer than a product with few rows."""

MIN_COLUMNS = 32
"""Minimum number of columns per product."""

MAX_FEW_ROWS = 8
"""Number of rows up to which loading ``b`` takes longer than the multiplications."""

MIN_LARGE_BYTES = 8 << 20
"""Size of a ``b`` that no core's cache holds."""

CHUNK_BYTES = 900_000
"""Size of the part of such a ``b`` that is copied into the cache at one time."""


def product(a: Array, b: Array, out: Array) -> None:
    """Write ``a · b`` to ``out``; each core computes some of its rows, or of its columns if there are more of them.

    Parameters
    ----------
    a : (rows, k)
    b : (k, columns)
    out : (rows, columns)
    """
    rows, columns = out.shape
    if 1 < rows <= MAX_FEW_ROWS and b.nbytes >= MIN_LARGE_BYTES and b.flags.c_contiguous:
        _stream(a, b, out)
        return
    pieces = _pieces(max(rows, columns))
    if 1 < rows < columns and b.strides[0] < b.strides[1]:
        step = max(MIN_COLUMNS, MAX_UNCOPIED_OPERATIONS // max(1, a.size))
        pieces = [slice(begin, begin + step) for begin in range(0, columns, step)]

    def multiply(piece: slice) -> None:
        if rows >= columns:
            np.matmul(a[piece], b, out=out[piece])
        else:
            np.matmul(a, b[:, piece], out=out[:, piece])

    parallel_for(multiply, pieces, a.size * columns)


def _stream(a: Array, b: Array, out: Array) -> None:
    """Write ``a · b`` to ``out`` for few rows and a ``b`` that has to be loaded from memory.

    A product in place reads ``b`` by columns, in many short runs, for which a processor cannot fetch data in advance.
    So a chunk of its rows is first copied into the cache, in one run, and multiplied there.
    """
    k, columns = b.shape
    step = max(1, min(CHUNK_BYTES // b[0].nbytes, SMALL_PRODUCT // out.size))
    chunks = [slice(begin, min(begin + step, k)) for begin in range(0, k, step)]

    def multiply(share: Sequence[slice]) -> Array:
        total = pooled_zeros(out, out.shape)
        for chunk in share:
            copied = pooled_empty(b, (chunk.stop - chunk.start, columns))
            copied[...] = b[chunk]
            total += np.matmul(a[:, chunk], copied, out=pooled_empty(out, out.shape))
        return total

    first, *others = parallel_map(multiply, chunks, a.size * columns)
    out[...] = first
    for other in others:
        out += other


def stacked_product(a: Array, b: Array, out: Array) -> None:
    """Write ``a · b`` to ``out`` for stacks of matrices, in the calling thread.

    The rows are cut so that a BLAS multiplies each piece in place, if the pieces do not become too thin.

    Parameters
    ----------
    a : (stack, rows, k)
    b : (stack, k, columns)
    out : (stack, rows, columns)
    """
    rows = a.shape[1]
    most = SMALL_PRODUCT // max(1, b.shape[1] * b.shape[2])
    count = 1 if most < MIN_SMALL_ROWS else -(-rows // most)
    for i in range(count):
        piece = slice(i * rows // count, (i + 1) * rows // count)
        np.matmul(a[:, piece], b, out=out[:, piece])


def product_over_rows(a: Array, b: Array) -> Array:
    """Return ``aᵀ · b`` for tall matrices (rows, k) and (rows, columns); each core sums over some of the rows."""

    def multiply(share: Sequence[slice]) -> Array:
        total = pooled_zeros(a, (a.shape[1], b.shape[1]))
        for piece in share:
            total += np.matmul(a[piece].T, b[piece])
        return total

    total, *others = parallel_map(multiply, _pieces(len(a)), a.size * b.shape[1])
    for other in others:
        total += other
    return total


def _pieces(length: int) -> list[slice]:
    """Cut ``length`` into one piece per core."""
    count = min(thread_count(), length)
    return [slice(k * length // count, (k + 1) * length // count) for k in range(count)]
