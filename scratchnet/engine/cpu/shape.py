"""Padding, concatenation and sums of maps in memory from the pool."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.ops.geometry import Pair, pair


def crop2d_backward(dy: Array, offset: int | Pair, size: Pair) -> Array:
    """Return dx of ``size`` (h, w): the gradient inside the crop, zero outside."""
    top, left = pair(offset, "offset", 0)
    n, h, w, c = dy.shape
    dx = pooled_zeros(dy, (n, *pair(size, "size", 1), c))
    dx[:, top : top + h, left : left + w] = dy
    return dx


def pad2d(x: Array, padding: int | Pair) -> Array:
    """Pad all four sides with zeros."""
    ph, pw = pair(padding, "padding", 0)
    n, h, w, c = x.shape
    y = pooled_zeros(x, (n, h + 2 * ph, w + 2 * pw, c))
    y[:, ph : ph + h, pw : pw + w] = x
    return y


def concatenate(*maps: Array) -> Array:
    """Concatenate maps along the channels."""
    y = pooled_empty(maps[0], (*maps[0].shape[:3], sum(m.shape[3] for m in maps)))
    end = 0
    for m in maps:
        y[..., end : end + m.shape[3]] = m
        end += m.shape[3]
    return y


def add(*maps: Array) -> Array:
    """Sum maps of the same shape."""
    y = pooled_empty(maps[0], maps[0].shape)
    if len(maps) == 1:
        y[...] = maps[0]
        return y
    np.add(maps[0], maps[1], out=y)
    for m in maps[2:]:
        y += m
    return y
