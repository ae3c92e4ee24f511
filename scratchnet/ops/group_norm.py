"""Group normalisation: normalise each image by itself, over all pixels of a group of channels; then scale and shift.

    x̂ = (x − μ) / √(σ² + ε)        y = γ·x̂ + β

μ and σ² are the mean and the variance of one image and one group of c/g neighbouring channels; γ and β belong to a
channel. Nothing depends on the batch, so training on one image at a time works, and evaluation needs no running
averages. With one group this is layer normalisation, with c groups instance normalisation. The gradient has the terms
of batch norm's, with means over the group instead of the batch:

    dx = (dz − mean(dz) − x̂ · mean(dz · x̂)) / √(σ² + ε)        dz = γ · dy        dγ = Σ dy·x̂        dβ = Σ dy

Reference: Wu and He, "Group normalization" (2018), section 3.
"""

import numpy as np

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import operation
from scratchnet.ops.channel_sums import channel_sums


def check_groups(channels: int, groups: int, name: str = "group_norm") -> None:
    """Raise a ValueError if groups of equal size cannot be formed."""
    if groups < 1 or channels % groups:
        raise ValueError(f"{name}: {groups} groups do not divide {channels} channels")


@operation(lambda x, gamma, beta, groups, eps=0.0: check_groups(x.shape[3], groups), x="n h w c", gamma="c", beta="c")
def group_norm(x: Array, gamma: Array, beta: Array, groups: int, eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """Normalise every image over groups of channels.

    Parameters
    ----------
    x : (n, h, w, c)
    gamma, beta : (c,)
        Scale and shift.
    groups : int
        Divides c.
    eps : float
        Added to the variance.

    Returns
    -------
    y : (n, h, w, c)
    mean, inverse_std : (n, groups)
        μ and 1 / √(σ² + ε), for the backward pass.
    """
    parts = _grouped(x, groups)
    mean = _group_means(parts)
    deviation = parts - mean
    inverse_std = 1 / get_array_module(x).sqrt(_group_means(deviation * deviation) + x.dtype.type(eps))
    x_hat = (deviation * inverse_std).reshape(x.shape)
    return gamma * x_hat + beta, mean[:, 0, :, 0], inverse_std[:, 0, :, 0]


@operation(
    lambda dy, x, mean, inverse_std, gamma: check_groups(x.shape[3], mean.shape[1]),
    dy="n h w c",
    x="n h w c",
    mean="n g",
    inverse_std="n g",
    gamma="c",
)
def group_norm_backward(
    dy: Array, x: Array, mean: Array, inverse_std: Array, gamma: Array
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,), from the input and the statistics of :func:`group_norm`."""
    groups = mean.shape[1]
    inverse = inverse_std[:, None, :, None]
    x_hat, dz = (_grouped(x, groups) - mean[:, None, :, None]) * inverse, _grouped(gamma * dy, groups)
    dx: Array = (inverse * (dz - _group_means(dz) - x_hat * _group_means(dz * x_hat))).reshape(dy.shape)
    return dx, channel_sums(dy * x_hat.reshape(dy.shape)), channel_sums(dy)


def _grouped(x: Array, groups: int) -> Array:
    """View (n, h, w, c) as (n, h·w, groups, c / groups)."""
    n, h, w, c = x.shape
    return x.reshape(n, h * w, groups, c // groups)


def _group_means(parts: Array) -> Array:
    """Return the means (n, 1, groups, 1), computed in float64: over the pixels first, then over a group's channels."""
    of_channels = parts.mean(axis=1, dtype=np.float64, keepdims=True)
    means: Array = of_channels.mean(axis=3, keepdims=True).astype(parts.dtype)
    return means
