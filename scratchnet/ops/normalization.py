"""Batch normalisation: normalise every channel over all pixels of the batch, then scale and shift it.

    x̂ = (x − μ) / √(σ² + ε)        y = γ·x̂ + β

During training, the mean μ and the variance σ² are those of the batch. They depend on x, which adds two terms to the
gradient:

    dx = γ / √(σ² + ε) · (dy − mean(dy) − x̂ · mean(dy · x̂))        dγ = Σ dy·x̂        dβ = Σ dy

With fixed statistics (at test time, or frozen) the map is affine: ``dx = γ / √(σ² + ε) · dy``.

With ``relu=True``, y = max(γ·x̂ + β, 0), and dy is set to 0 where y is 0. ``overwrite=True`` allows a
faster form to write its results to the memory of x or dy; the plain form here does not.

Reference: Ioffe and Szegedy, "Batch normalization" (2015), algorithm 1.
"""

import numpy as np

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import operation, overwritten, written
from scratchnet.ops.channel_sums import PIXELS, channel_sums
from scratchnet.ops.normalized import NORMALIZED, Normalized


@operation(x=overwritten("n h w c"), gamma="c", beta="c")
def batch_norm(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-5, relu: bool = False, overwrite: bool = False
) -> tuple[Array, Normalized]:
    """Normalise by the statistics of the batch.

    Parameters
    ----------
    x : (n, h, w, c)
    gamma, beta : (c,)
        Scale and shift.
    eps : float
        Added to the variance.
    relu : bool
        Whether to set negative results to 0.
    overwrite : bool
        Whether the memory of ``x`` may be written to.

    Returns
    -------
    y : (n, h, w, c)
    normalized : Normalized
    """
    mean, variance = batch_statistics(x)
    return batch_norm_fixed(x, gamma, beta, mean, variance, eps, relu)


@operation(dy=overwritten("n h w c"), normalized=NORMALIZED, gamma="c")
def batch_norm_backward(
    dy: Array, normalized: Normalized, gamma: Array, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm`; ``dy`` may become dx."""
    dz, x_hat = normalized.relu_backward(dy), normalized.x_hat
    dgamma, dbeta = channel_sums(dz * x_hat), channel_sums(dz)
    count = max(1, dy.size // len(gamma))
    dx: Array = gamma * normalized.inverse_std * (dz - dbeta / count - x_hat * (dgamma / count))
    return dx, dgamma, dbeta


@operation(x="n h w c", gamma="c", beta="c", mean="c", variance="c")
def batch_norm_fixed(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    eps: float = 1e-5,
    relu: bool = False,
) -> tuple[Array, Normalized]:
    """Normalise by given statistics: running averages at test time, or frozen ones."""
    xp = get_array_module(x)
    inverse_std = 1 / xp.sqrt(variance + x.dtype.type(eps))
    y = gamma * ((x - mean) * inverse_std) + beta
    if relu:
        y = xp.maximum(y, 0)
    return y, Normalized(x, y if relu else None, mean, variance, inverse_std)


@operation(dy=overwritten("n h w c"), normalized=NORMALIZED, gamma="c")
def batch_norm_fixed_backward(
    dy: Array, normalized: Normalized, gamma: Array, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm_fixed`; ``dy`` may become dx."""
    dz = normalized.relu_backward(dy)
    return gamma * normalized.inverse_std * dz, channel_sums(dz * normalized.x_hat), channel_sums(dz)


@operation(x="n h w c")
def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Return the mean and the biased variance of every channel over the pixels of a batch, (c,) each."""
    mean, variance = moments(x)
    return mean.astype(x.dtype), variance.astype(x.dtype)


def moments(x: Array) -> tuple[Array, Array]:
    """Return the mean and the biased variance in float64, (c,) each; 0 for a batch without images."""
    count = max(1, x.size // x.shape[3])
    mean = x.sum(axis=PIXELS, dtype=np.float64) / count
    deviation = x - mean.astype(x.dtype)  # subtracted before squaring: E[x²] − μ² would lose digits
    return mean, (deviation * deviation).sum(axis=PIXELS, dtype=np.float64) / count


@operation(x=written("n h w c"), values="c")
def subtract_per_channel(x: Array, values: Array) -> None:
    """Subtract one value per channel, (c,), in place."""
    x -= values
