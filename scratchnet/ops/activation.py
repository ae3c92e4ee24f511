"""Activation functions and dropout: ReLU, sigmoid, softmax over channels."""

from functools import cache

import numpy as np

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.dispatch import operation, written
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.selection import keep_where_positive
from scratchnet.utils.philox import uniform


@operation(x="n h w c", out=written("n h w c"))
def relu(x: Array, out: Array | None = None) -> Array:
    """Return max(x, 0), written to ``out`` if it is given; ``out`` may be ``x`` itself."""
    xp = get_array_module(x)
    y = pooled_empty(x, x.shape) if out is None else out
    parallel_rows(lambda x, y: xp.maximum(x, _zeros(x), out=y), x, y)
    return y


@operation(dy="n h w c", y="n h w c")
def relu_backward(dy: Array, y: Array) -> Array:
    """Return ``dy`` where the output was positive and 0 elsewhere, even if ``dy`` is infinite there.

    The derivative at exactly 0 is taken to be 0.
    """
    dx = pooled_empty(dy, dy.shape)
    parallel_rows(lambda dy, y, dx: keep_where_positive(dy, y, dx, dx), dy, y, dx)
    return dx


def keep_positive(y: Array) -> None:
    """Set the negative elements of ``y`` to 0, in place."""
    get_array_module(y).maximum(y, _zeros(y), out=y)


def _zeros(like: Array) -> Array:
    """Return an array of zeros: NumPy's maximum is three times as fast with an array as with the scalar 0."""
    if get_array_module(like) is not np or like.size > _MANY:
        few: Array = get_array_module(like).zeros(1, like.dtype)
        return few
    return _many_zeros(like.dtype.str)[: like.size].reshape(like.shape)


_MANY = 1 << 18


@cache
def _many_zeros(dtype: str) -> Array:
    zeros: Array = np.zeros(_MANY, dtype)
    zeros.flags.writeable = False
    return zeros


@operation(x="*")
def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + e⁻ˣ), as ½ + ½·tanh(x/2), which cannot overflow."""
    xp = get_array_module(x)
    half = x.dtype.type(0.5)
    y: Array = half + half * xp.tanh(half * x)
    return y


@operation(x="*")
def softmax(x: Array) -> Array:
    """Return e^x / Σ e^x over the last axis; the maximum is subtracted first, so nothing overflows."""
    xp = get_array_module(x)
    y: Array = xp.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y


@operation(mask=written("*"))
def dropout_mask(mask: Array, rate: float, rng: np.random.Generator) -> None:
    """Fill ``mask`` with 0 at a random fraction ``rate`` of its elements and with 1 / (1 − rate) elsewhere.

    Dropout multiplies by the mask, so the expected value is unchanged; its gradient is ``dy * mask``. The same Philox
    stream drops the same elements on every device.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014), section 4; the
    scaling is done here during training instead of at test time.
    """
    xp = get_array_module(mask)
    draws = rng.random(mask.shape, dtype=np.float32) if xp is np else uniform(rng, mask.shape, xp)
    mask[...] = (draws >= rate).astype(mask.dtype) * mask.dtype.type(1 / (1 - rate))


@operation(x="*", mask="*")
def dropout(x: Array, mask: Array) -> Array:
    """Return ``x`` times the ``mask`` of :func:`dropout_mask`; 0 where the mask is 0, even if ``x`` is infinite there.

    With the incoming gradient as ``x``, this is also the backward pass.
    """
    xp = get_array_module(x)
    y = pooled_empty(x, x.shape)

    def apply(x: Array, mask: Array, y: Array) -> None:
        keep_where_positive(x, mask, y, y)
        xp.multiply(y, mask, out=y)

    parallel_rows(apply, x, mask, y)
    return y
