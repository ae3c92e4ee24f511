"""ReLU, leaky ReLU and dropout in chunks of rows, on all cores and in memory from the pool."""

from functools import cache, partial

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture import record_call
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.cpu.selection import keep_where_positive
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.utils.random_stream import RandomStream


def relu(x: Array, out: Array | None = None) -> Array:
    """Return max(x, 0), written to ``out`` if it is given."""
    y = pooled_empty(x, x.shape) if out is None else out

    def clip(x: Array, y: Array) -> None:
        np.maximum(x, _zeros(x), out=y)

    parallel_rows(clip, x, y)
    return y


def relu_backward(dy: Array, y: Array) -> Array:
    """Return ``dy`` where ``y`` is positive and 0 elsewhere."""
    dx = pooled_empty(dy, dy.shape)
    parallel_rows(lambda dy, y, dx: keep_where_positive(dy, y, dx, dx), dy, y, dx)
    return dx


def leaky_relu(x: Array, slope: float) -> Array:
    """Return max(x, slope · x)."""
    y, factor = pooled_empty(x, x.shape), x.dtype.type(slope)

    def clip(x: Array, y: Array) -> None:
        np.multiply(x, factor, out=y)
        np.maximum(x, y, out=y)

    parallel_rows(clip, x, y)
    return y


def leaky_relu_backward(dy: Array, y: Array, slope: float) -> Array:
    """Return ``dy`` where ``y`` is positive and ``slope · dy`` elsewhere."""
    dx, factor = pooled_empty(dy, dy.shape), dy.dtype.type(slope)

    def scale(dy: Array, y: Array, dx: Array) -> None:
        np.greater(y, 0, out=dx, casting="unsafe")
        np.maximum(dx, factor, out=dx)
        np.multiply(dx, dy, out=dx)

    parallel_rows(scale, dy, y, dx)
    return dx


def keep_positive(y: Array) -> None:
    """Set the negative elements of ``y`` to 0, in place."""
    np.maximum(y, _zeros(y), out=y)


MAX_ZEROS = 1 << 18
"""Elements of the longest array of zeros."""


def _zeros(like: Array) -> Array:
    """Return zeros of the shape of ``like``: NumPy's maximum is three times as fast with an array as with a scalar."""
    if like.size > MAX_ZEROS:
        return _many_zeros(like.dtype.str)[:1]
    return _many_zeros(like.dtype.str)[: like.size].reshape(like.shape)


@cache
def _many_zeros(dtype: str) -> Array:
    zeros: Array = np.zeros(MAX_ZEROS, dtype)
    zeros.flags.writeable = False
    return zeros


def dropout(x: Array, rate: float, stream: RandomStream, again: bool = False) -> tuple[Array, Array]:
    """Return ``x`` times a random mask, and the mask, which every replay draws anew."""
    mask = pooled_empty(x, x.shape)
    record_call(partial(_draw, rate, stream, again), mask)
    return dropout_backward(x, mask), mask


def _draw(rate: float, stream: RandomStream, again: bool, mask: Array) -> None:
    kept = stream.uniform(mask.shape, np, again) >= rate
    mask[...] = kept.astype(mask.dtype) * mask.dtype.type(1 / (1 - rate))


def dropout_backward(dy: Array, mask: Array) -> Array:
    """Return ``dy`` times the mask; 0 where the mask is 0."""
    dx = pooled_empty(dy, dy.shape)

    def apply(dy: Array, mask: Array, dx: Array) -> None:
        keep_where_positive(dy, mask, dx, dx)
        np.multiply(dx, mask, out=dx)

    parallel_rows(apply, dy, mask, dx)
    return dx
