"""Synchronised batch norm: normalise a batch that is split over processes by the statistics of the whole batch.

    μ = Σ n·μₖ / Σ n        σ² = Σ n·(σₖ² + μₖ²) / Σ n − μ²

Process k has n pixels with mean μₖ and variance σₖ². The processes add up n, n·μₖ and n·(σₖ² + μₖ²), and compute the
mean and the variance of the whole batch from these sums.

In the backward pass, dx needs Σ dy and Σ dy·x̂ over the whole batch (see :mod:`scratchnet.ops.normalization`). dγ and
dβ remain each process's share, like the gradients of all other parameters. The sums are exchanged in float64, so that
σ², a difference of two sums, is accurate to float32.
"""

from typing import Any

import numpy as np

from scratchnet.arrays import AllReduce, Array, get_array_module
from scratchnet.engine.dispatch import operation, overwritten
from scratchnet.ops.channel_sums import channel_sums
from scratchnet.ops.normalization import batch_norm_fixed, moments
from scratchnet.ops.normalized import NORMALIZED, Normalized


@operation(x="n h w c", gamma="c", beta="c")
def shared_batch_norm(
    x: Array, gamma: Array, beta: Array, allreduce: AllReduce, eps: float = 1e-5, relu: bool = False
) -> tuple[Array, Normalized, Array]:
    """Normalise one process's share by the statistics of the whole batch.

    Parameters
    ----------
    x : (n, h, w, c)
        The share; n may differ between processes.
    gamma, beta : (c,)
        Scale and shift.
    allreduce : AllReduce
        Sums an array over all processes, in place.
    eps : float
        Added to the variance.
    relu : bool
        Whether to set negative results to 0.

    Returns
    -------
    y : (n, h, w, c)
    normalized : Normalized
    count : (1,)
        Pixels of the whole batch.
    """
    mean, variance = moments(x)
    xp = get_array_module(x)
    sums = xp.concatenate([mean, variance + mean * mean, xp.ones(1)])
    sums *= x.size // x.shape[3]
    mean, variance, count = whole_statistics(sums, x.dtype, allreduce)
    return *batch_norm_fixed(x, gamma, beta, mean, variance, eps, relu), count


def whole_statistics(sums: Array, dtype: Any, allreduce: AllReduce) -> tuple[Array, Array, Array]:
    """Return mean (c,), variance (c,) and number of pixels (1,) of the whole batch.

    Parameters
    ----------
    sums : (2·c + 1,) float64
        n·μ, n·(σ² + μ²) and n of this process's share, or zeros if it has none; replaced by the whole batch's in place.
    dtype
        Dtype of the results.
    allreduce : AllReduce
    """
    c = len(sums) // 2
    allreduce(sums)
    count = sums[-1:]
    xp = get_array_module(sums)
    divisor = xp.maximum(count, 1)  # 0 if no process has an image
    mean = sums[:c] / divisor
    variance = xp.maximum(sums[c:-1] / divisor - mean * mean, 0)
    return mean.astype(dtype), variance.astype(dtype), count.astype(dtype)


@operation(dy=overwritten("n h w c"), normalized=NORMALIZED, gamma="c", count="_one")
def shared_batch_norm_backward(
    dy: Array, normalized: Normalized, gamma: Array, count: Array, allreduce: AllReduce, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), and the share's own dgamma (c,) and dbeta (c,); ``dy`` may become dx."""
    xp = get_array_module(dy)
    dz, x_hat = normalized.relu_backward(dy), normalized.x_hat
    dgamma, dbeta = channel_sums(dz * x_hat), channel_sums(dz)
    sums = xp.stack([dgamma, dbeta]).astype(np.float64)
    allreduce(sums)
    by_x_hat, by_one = sums.astype(dy.dtype) / xp.maximum(count, 1)
    dx: Array = gamma * normalized.inverse_std * (dz - by_one - x_hat * by_x_hat)
    return dx, dgamma, dbeta
