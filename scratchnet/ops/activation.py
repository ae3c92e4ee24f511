"""Functions of single numbers: ReLU, sigmoid, softmax over channels, dropout."""

import numpy as np

from scratchnet.arrays import Array, namespace
from scratchnet.threads import over_rows


def relu(x: Array) -> Array:
    """Return max(x, 0)."""
    xp = namespace(x)
    y: Array = xp.empty(x.shape, x.dtype)
    over_rows(lambda x, y: xp.maximum(x, xp.zeros(1, x.dtype), out=y), x, y)
    return y


def relu_backward(dy: Array, y: Array) -> Array:
    """Let the gradient through where the output was positive. At exactly 0 the slope is taken as 0."""
    xp = namespace(dy)
    dx: Array = xp.empty(dy.shape, dy.dtype)
    over_rows(lambda dy, y, dx: xp.multiply(dy, y > 0, out=dx), dy, y, dx)
    return dx


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + e⁻ˣ), as ½ + ½·tanh(x/2), which cannot overflow."""
    xp = namespace(x)
    half = x.dtype.type(0.5)
    y: Array = half + half * xp.tanh(half * x)
    return y


def softmax(x: Array) -> Array:
    """Return e^x / Σ e^x over the last axis; the maximum is subtracted first, so nothing overflows."""
    xp = namespace(x)
    y: Array = xp.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y


def dropout(x: Array, rate: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Set a random ``rate`` of the numbers to 0 and scale the others by 1 / (1 − rate), so that the mean stays.

    Returns
    -------
    y : as ``x``
    mask : as ``x``
        0 or 1 / (1 − rate); the gradient is ``dy * mask``.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014), section 4; the
    scaling is done here in training instead of at test time.
    """
    xp = namespace(x)
    keep = xp.asarray(rng.random(x.shape, dtype=np.float32) >= rate)
    mask: Array = keep.astype(x.dtype) * x.dtype.type(1 / (1 - rate))
    return x * mask, mask
