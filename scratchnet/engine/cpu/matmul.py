"""Matrix products distributed over the cores, for convolutions whose kernel does not slide."""

from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.threads import parallel_for, parallel_map, thread_count
from scratchnet.engine.memory.pool import pooled_zeros

MAX_UNCOPIED_OPERATIONS = 1 << 18
"""Multiply-adds up to which a BLAS reads a transposed matrix in place. For a larger product it copies the matrix, which
takes longer than a product with few rows."""

MIN_COLUMNS = 32
"""Minimum number of columns per product."""


def product(a: Array, b: Array, out: Array) -> None:
    """Write ``a · b`` to ``out``; each core computes some of its rows, or of its columns if there are more of them.

    Parameters
    ----------
    a : (rows, k)
    b : (k, columns)
    out : (rows, columns)
    """
    rows, columns = out.shape
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
