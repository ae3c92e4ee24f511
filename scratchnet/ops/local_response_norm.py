"""Local response normalisation: divide each element by a power of the energy in the channels around it.

    s = k + α/size · Σ x²        y = x · s^(−β)

The sum is over a window of ``size`` channels. Every element contributes to the scales s in its window, so the gradient
is a sum over the same window:

    dx = dy·s^(−β) − 2αβ/size · x · Σ (dy·y/s)

Reference: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks" (2012),
section 3.3.
"""

from scratchnet.arrays import Array
from scratchnet.engine.dispatch import operation
from scratchnet.ops.geometry import integer


@operation(x="n h w c")
def local_response_norm(
    x: Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> tuple[Array, Array]:
    """Return ``x`` divided by a power of the energy in nearby channels.

    Parameters
    ----------
    x : (n, h, w, c)
    size : int
        Number of channels in the window, odd; the window is truncated at the first and last channel.
    alpha, beta, k : float
        Caffe's defaults; as in Caffe, α is divided by ``size``.

    Returns
    -------
    y : (n, h, w, c)
    scale : (n, h, w, c)
        Needed by the backward pass.
    """
    size = _odd(size, "local_response_norm")
    scale = x.dtype.type(k) + x.dtype.type(alpha / size) * _channel_window_sum(x * x, size)
    y: Array = x * scale ** x.dtype.type(-beta)
    return y, scale


@operation(dy="n h w c", x="n h w c", scale="n h w c")
def local_response_norm_backward(
    dy: Array, x: Array, scale: Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75
) -> Array:
    """Return dx (n, h, w, c)."""
    size = _odd(size, "local_response_norm_backward")
    power = scale ** x.dtype.type(-beta)
    spread = _channel_window_sum(dy * x * power / scale, size)
    dx: Array = dy * power - x.dtype.type(2 * alpha * beta / size) * x * spread
    return dx


def _odd(size: int, name: str) -> int:
    if (number := integer(size, "size", 1)) % 2 == 0:
        raise ValueError(f"{name}: size is {size}; expected an odd number of channels")
    return number


def _channel_window_sum(x: Array, size: int) -> Array:
    """Sum a centred window of ``size`` channels, truncated at the ends."""
    total = x.copy()
    for step in range(1, size // 2 + 1):
        total[..., step:] += x[..., :-step]
        total[..., :-step] += x[..., step:]
    return total
