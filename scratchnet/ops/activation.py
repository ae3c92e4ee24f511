"""Activation functions and dropout: ReLU, leaky ReLU, sigmoid, softmax over channels.

Each backward pass multiplies the incoming gradient by the derivative, element by element.

    function     y                                  dy/dx
    ReLU         max(x, 0)                          1 where y > 0, else 0 (0 at exactly 0)
    leaky ReLU   max(x, slope · x)                  1 where y > 0, else slope
    sigmoid      1 / (1 + e⁻ˣ)                      y · (1 − y)
    softmax      eˣ / Σ eˣ over the channels        only in the losses (``losses``)
    dropout      mask · x                           mask
"""

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import operation, written
from scratchnet.utils.random_stream import RandomStream


@operation(x="n h w c", out=written("n h w c"))
def relu(x: Array, out: Array | None = None) -> Array:
    """Return max(x, 0), written to ``out`` if it is given; ``out`` may be ``x`` itself."""
    y: Array = get_array_module(x).maximum(x, 0, out=out)
    return y


@operation(dy="n h w c", y="n h w c")
def relu_backward(dy: Array, y: Array) -> Array:
    """Return ``dy`` where the output was positive (or NaN) and 0 elsewhere, even if ``dy`` is infinite there."""
    dx: Array = get_array_module(dy).where(y <= 0, 0, dy)
    return dx


@operation(x="n h w c")
def leaky_relu(x: Array, slope: float) -> Array:
    """Return max(x, slope · x): ``x`` where it is positive, ``slope · x`` elsewhere, for 0 < slope < 1.

    References
    ----------
    Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models" (2013), section 2.
    """
    y: Array = get_array_module(x).maximum(x, x.dtype.type(slope) * x)
    return y


@operation(dy="n h w c", y="n h w c")
def leaky_relu_backward(dy: Array, y: Array, slope: float) -> Array:
    """Return ``dy`` where the output was positive and ``slope · dy`` elsewhere; the output has the input's sign."""
    dx: Array = dy * get_array_module(dy).maximum(y > 0, dy.dtype.type(slope))
    return dx


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


@operation(x="n h w c")
def dropout(x: Array, rate: float, stream: RandomStream, again: bool = False) -> tuple[Array, Array]:
    """Set a random fraction ``rate`` of the elements to 0 and divide the others by 1 − rate.

    The expected value is unchanged. The same stream drops the same elements on every device.

    Parameters
    ----------
    x : (n, h, w, c)
    rate : float
        0 ≤ rate < 1.
    stream : RandomStream
    again : bool
        Whether to repeat the stream's last draw.

    Returns
    -------
    y : (n, h, w, c)
        ``x`` times the mask; 0 where the mask is 0, even if ``x`` is infinite there.
    mask : (n, h, w, c)
        0 or 1 / (1 − rate), for :func:`dropout_backward`.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014), section 4; the
    scaling is done here during training instead of at test time.
    """
    xp = get_array_module(x)
    kept = stream.uniform(x.shape, xp, again) >= rate
    mask = kept.astype(x.dtype) * x.dtype.type(1 / (1 - rate))
    return xp.where(kept, x, 0) * mask, mask


@operation(dy="n h w c", mask="n h w c")
def dropout_backward(dy: Array, mask: Array) -> Array:
    """Return dx = mask · dy; 0 where the mask is 0, even if ``dy`` is infinite there."""
    dx: Array = get_array_module(dy).where(mask > 0, dy, 0) * mask
    return dx
