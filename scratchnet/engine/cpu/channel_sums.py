"""Sums over all pixels of a map, one per channel: bias gradients and batch norm's statistics."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.chunks import parallel_indexed_rows, row_chunks
from scratchnet.engine.memory.pool import pooled_empty

GROUP = 256
"""Pixels that :func:`sum_rows_exactly` adds up one after the other."""


def channel_sums(x: Array) -> Array:
    """Sum (n, h, w, c) over everything but the channels: (c,), in the dtype of ``x``."""
    total: Array = sums_over_rows(lambda sums, piece: sum_rows(piece, sums[0]), 1, x)[0]
    return total


def sums_over_rows(function: Callable[..., None], count: int, *maps: Array, dtype: Any = None) -> Array:
    """Compute ``count`` sums per channel over all rows of maps: (count, c).

    The sums of each piece have the dtype of the maps. They are added up in float64, so that precision does not suffer
    from the number of pixels.

    Parameters
    ----------
    function : ``(sums, *pieces)``
        Writes the ``sums`` (count, c) of matching pieces (rows, w·c) of the maps.
    maps : arrays (n, h, w, c) of one shape
    dtype
        Dtype of the result; defaults to that of the maps.
    """
    x = maps[0]
    partial = pooled_empty(x, (len(row_chunks(x)), count, x.shape[3]))
    parallel_indexed_rows(lambda number, *pieces: function(partial[number], *pieces), *maps)
    total: Array = partial.sum(axis=0, dtype=np.float64).astype(dtype or x.dtype)
    return total


def sum_rows(piece: Array, out: Array) -> None:
    """Sum a piece of rows (rows, w·c) over its pixels and write the result to ``out`` (c,).

    A product with a row of ones is several times faster than NumPy's sum over the first axis.
    """
    pixels = piece.reshape(-1, len(out))
    np.matmul(_ones(len(pixels), piece.dtype), pixels, out=out)


def sum_groups(groups: Array, out: Array) -> None:
    """Sum groups of pixels (k, pixels, c) and write the sums to ``out`` (k, c)."""
    np.matmul(_ones(groups.shape[1], groups.dtype), groups, out=out)


def sum_rows_exactly(piece: Array, out: Array) -> None:
    """Like :func:`sum_rows`, with about a fifth of the rounding error: sum groups of pixels, then add these sums."""
    pixels = piece.reshape(-1, len(out))
    groups, rest = divmod(len(pixels), GROUP)
    if groups < 4:
        sum_rows(piece, out)
        return
    sums = pooled_empty(pixels, (groups + (rest > 0), len(out)))
    np.matmul(_ones(GROUP, piece.dtype), pixels[: groups * GROUP].reshape(groups, GROUP, -1), out=sums[:groups])
    if rest:
        np.matmul(_ones(rest, piece.dtype), pixels[groups * GROUP :], out=sums[groups])
    np.matmul(_ones(len(sums), piece.dtype), sums, out=out)


def _ones(count: int, dtype: Any) -> Array:
    """Return ``count`` ones; the hundreds of products of a captured step share one row of ones."""
    return _most_ones(1 << max(count - 1, 0).bit_length(), np.dtype(dtype))[:count]


@lru_cache(maxsize=8)
def _most_ones(count: int, dtype: np.dtype[Any]) -> Array:
    ones = np.ones(count, dtype)
    ones.flags.writeable = False
    return ones
