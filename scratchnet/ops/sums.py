"""Sums over all pixels of a map, one a channel: bias gradients and batch norm's statistics."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from scratchnet.arrays import Array, namespace, on_gpu
from scratchnet.ops.dispatch import on_any_device
from scratchnet.threads import over_rows


@on_any_device
def column_sums(x: Array) -> Array:
    """Sum (n, h, w, c) over everything but the channels: (c,), in the dtype of ``x``."""
    return sum_partial(over_rows(lambda piece: sum_rows(piece, x.shape[3]), x))


def sum_rows(piece: Array, c: int) -> Array:
    """Sum a piece of rows (rows, w·c) over its pixels: (c,).

    A product with a row of ones is several times quicker than NumPy's sum over the first axis. On a GPU a product may
    round its factors (TF32), and all pixels come in one piece.
    """
    pixels = piece.reshape(-1, c)
    total: Array
    if on_gpu(pixels):
        total = pixels.sum(axis=0, dtype=namespace(pixels).float64).astype(pixels.dtype)
    else:
        total = _ones(len(pixels), piece.dtype) @ pixels
    return total


def _ones(count: int, dtype: Any) -> Array:
    """Return ``count`` ones; a recorded step has hundreds of these products, and one row serves them all."""
    return _most_ones(1 << max(count - 1, 0).bit_length(), np.dtype(dtype))[:count]


@lru_cache(maxsize=8)
def _most_ones(count: int, dtype: np.dtype[Any]) -> Array:
    ones = np.ones(count, dtype)
    ones.flags.writeable = False
    return ones


def sum_partial(sums: Sequence[Array]) -> Array:
    """Add up the sums of all pieces in float64, so that many pixels do not cost precision; dtype as the pieces."""
    xp = namespace(sums[0])
    total: Array = xp.stack(list(sums)).sum(axis=0, dtype=xp.float64)
    return total.astype(sums[0].dtype)
