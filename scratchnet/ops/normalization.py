"""Batch normalisation and local response normalisation.

Batch norm brings every channel to mean 0 and variance 1 over all pixels of the batch, then lets the network choose a
scale and a shift:

    x̂ = (x − μ) / √(σ² + ε)        y = γ·x̂ + β

In training μ and σ² are the batch's own, so they depend on x, and the gradient has two more terms than one expects:

    dx = γ / √(σ² + ε) · (dy − mean(dy) − x̂ · mean(dy · x̂))        dγ = Σ dy·x̂        dβ = Σ dy

With fixed statistics (at test time, or frozen) the map is linear: ``dx = γ / √(σ² + ε) · dy``.

References
----------
Ioffe and Szegedy, "Batch normalization" (2015), algorithm 1. Krizhevsky, Sutskever, Hinton (2012), section 3.3.
"""

from dataclasses import dataclass

from scratchnet.arrays import Array, namespace
from scratchnet.ops.convolution import column_sums


@dataclass(frozen=True)
class Normalized:
    """What the backward pass of batch norm needs.

    Attributes
    ----------
    x_hat : (n, h, w, c)
        The normalised input.
    mean, variance : (c,)
        The statistics used; the variance is the biased one (divided by n·h·w).
    inverse_std : (c,)
        1 / √(variance + ε)
    """

    x_hat: Array
    mean: Array
    variance: Array
    inverse_std: Array


def batch_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, Normalized]:
    """Normalise by the batch's own statistics.

    Parameters
    ----------
    x : (n, h, w, c)
    gamma, beta : (c,)
        Scale and shift.
    eps : float
        Added to the variance.

    Returns
    -------
    y : (n, h, w, c)
    normalized : Normalized
    """
    count = x.size // x.shape[3]
    mean = column_sums(x) / x.dtype.type(count)
    x_hat = per_channel(namespace(x).subtract, x, mean)
    variance = column_sums(x_hat * x_hat) / x.dtype.type(count)
    return _scale_and_shift(x_hat, mean, variance, gamma, beta, eps)


def batch_norm_fixed(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float = 1e-5
) -> tuple[Array, Normalized]:
    """Normalise by given statistics: running averages at test time, or frozen ones."""
    return _scale_and_shift(per_channel(namespace(x).subtract, x, mean), mean, variance, gamma, beta, eps)


def _scale_and_shift(
    x_hat: Array, mean: Array, variance: Array, gamma: Array, beta: Array, eps: float
) -> tuple[Array, Normalized]:
    """Finish both forms from the centred input, which is overwritten."""
    xp = namespace(x_hat)
    inverse_std = 1 / xp.sqrt(variance + x_hat.dtype.type(eps))
    per_channel(xp.multiply, x_hat, inverse_std, out=x_hat)
    y = per_channel(xp.multiply, x_hat, gamma)
    per_channel(xp.add, y, beta, out=y)
    return y, Normalized(x_hat, mean, variance, inverse_std)


def batch_norm_backward(dy: Array, normalized: Normalized, gamma: Array) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm`."""
    xp = namespace(dy)
    dgamma, dbeta = _parameter_gradients(dy, normalized)
    count = dy.dtype.type(dy.size // dy.shape[3])
    dx = per_channel(xp.multiply, normalized.x_hat, dgamma / -count)
    dx += dy
    per_channel(xp.subtract, dx, dbeta / count, out=dx)
    per_channel(xp.multiply, dx, gamma * normalized.inverse_std, out=dx)
    return dx, dgamma, dbeta


def batch_norm_fixed_backward(dy: Array, normalized: Normalized, gamma: Array) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm_fixed`."""
    dgamma, dbeta = _parameter_gradients(dy, normalized)
    return per_channel(namespace(dy).multiply, dy, gamma * normalized.inverse_std), dgamma, dbeta


def _parameter_gradients(dy: Array, normalized: Normalized) -> tuple[Array, Array]:
    """Return dγ = Σ dy·x̂ and dβ = Σ dy."""
    return column_sums(dy * normalized.x_hat), column_sums(dy)


def per_channel(function: "object", x: Array, vector: Array, out: Array | None = None) -> Array:
    """Apply a binary function to ``x`` (n, h, w, c) and one number a channel, quicker than plain broadcasting.

    NumPy runs an inner loop over the last axis only, c numbers at a time. Repeating the vector for a whole row of
    pixels makes the inner loop w times longer.
    """
    n, h, w, c = x.shape
    row = namespace(x).tile(vector, w)
    result: Array = function(x.reshape(n * h, w * c), row, out=None if out is None else out.reshape(n * h, w * c))  # type: ignore[operator]
    return result.reshape(n, h, w, c)


def local_response_norm(
    x: Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> tuple[Array, Array]:
    """Divide each number by a power of the energy in the ``size`` channels round it.

        scale = k + α/size · Σ x²        y = x · scale^(−β)

    Parameters
    ----------
    x : (n, h, w, c)
    size : int
        Odd; channels in the window, cut off at the first and last channel.
    alpha, beta, k : float
        Caffe's defaults; α is divided by ``size`` as there.

    Returns
    -------
    y : (n, h, w, c)
    scale : (n, h, w, c)
        Kept for the backward pass.
    """
    if size % 2 == 0:
        raise ValueError(f"local_response_norm: size is {size}; expected an odd number of channels")
    scale = x.dtype.type(k) + x.dtype.type(alpha / size) * _channel_window_sum(x * x, size)
    y: Array = x * scale ** x.dtype.type(-beta)
    return y, scale


def local_response_norm_backward(
    dy: Array, x: Array, scale: Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75
) -> Array:
    """Return dx = dy·scale^(−β) − 2αβ/size · x · Σ (dy·y/scale), the sum over the same window of channels."""
    power = scale ** x.dtype.type(-beta)
    spread = _channel_window_sum(dy * x * power / scale, size)
    dx: Array = dy * power - x.dtype.type(2 * alpha * beta / size) * x * spread
    return dx


def _channel_window_sum(x: Array, size: int) -> Array:
    """Sum ``size`` neighbouring channels, centred, cut off at the ends."""
    total = x.copy()
    for step in range(1, size // 2 + 1):
        total[..., step:] += x[..., :-step]
        total[..., :-step] += x[..., step:]
    return total
