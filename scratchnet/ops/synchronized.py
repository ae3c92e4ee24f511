"""Synchronised batch norm: normalise a batch that is split over processes by the statistics of the whole batch.

    μ = Σ n·μ / Σ n        σ² = Σ n·(σ² + μ²) / Σ n − μ²

The processes sum their pixel counts n, n·μ and n·(σ² + μ²), and compute the mean and the variance of the whole batch
from these sums.

In the backward pass, dx needs Σ dy and Σ dy·x̂ over the whole batch (see :mod:`scratchnet.ops.normalization`). dγ and
dβ remain each process's share, like the gradients of all other parameters. The sums are exchanged in float64, so that
σ², a difference of two sums, is accurate to float32.
"""

from typing import Any

from scratchnet.arrays import AllReduce, Array, get_array_module, on_gpu
from scratchnet.engine.capture import record_call
from scratchnet.engine.dispatch import operation, overwritten
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.normalization import (
    NORMALIZED,
    Normalized,
    batch_norm_fixed,
    batch_statistics,
    input_gradient,
    moments,
    parameter_gradients,
)


@operation(x="n h w c", gamma="c", beta="c")
def shared_batch_norm(
    x: Array, gamma: Array, beta: Array, over_ranks: AllReduce, eps: float = 1e-5, relu: bool = False
) -> tuple[Array, Normalized, Array]:
    """Normalise one process's share by the statistics of the whole batch.

    Parameters
    ----------
    x : (n, h, w, c)
        The share; n may differ between processes.
    gamma, beta : (c,)
        Scale and shift.
    over_ranks : AllReduce
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
    xp, c = get_array_module(x), x.shape[3]
    own = pooled_empty(x, (2 * c + 1,), xp.float64)
    if on_gpu(x):
        own[:c], own[c:-1] = batch_statistics(x)
    else:  # a mean rounded to float32 would add its error to the variance between processes
        near, offset, variance = moments(x)
        own[:c], own[c:-1] = near, variance
        own[:c] += offset
    own[c:-1] += own[:c] * own[:c]
    own[-1:] = 1
    own *= xp.float64(x.size // c)
    mean, variance, count = whole_statistics(own, x.dtype, over_ranks)
    return *batch_norm_fixed(x, gamma, beta, mean, variance, eps, relu), count


def whole_statistics(sums: Array, dtype: Any, over_ranks: AllReduce) -> tuple[Array, Array, Array]:
    """Return mean (c,), variance (c,) and number of pixels (1,) of the whole batch.

    Parameters
    ----------
    sums : (2·c + 1,) float64
        n·μ, n·(σ² + μ²) and n of this process's share, or zeros if it has none; replaced by the whole batch's in place.
    dtype
        Dtype of the results.
    over_ranks : AllReduce
    """
    c = len(sums) // 2
    record_call(over_ranks, sums)
    count = sums[-1:]
    xp = get_array_module(sums)
    divisor = xp.maximum(count, 1)  # 0 if no process has an image
    mean = sums[:c] / divisor
    variance = xp.maximum(sums[c:-1] / divisor - mean * mean, 0)
    return mean.astype(dtype), variance.astype(dtype), count.astype(dtype)


@operation(dy=overwritten("n h w c"), normalized=NORMALIZED, gamma="c", count="_one")
def shared_batch_norm_backward(
    dy: Array, normalized: Normalized, gamma: Array, count: Array, over_ranks: AllReduce, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), and the share's own dgamma (c,) and dbeta (c,); ``dy`` may become dx."""
    dz, dgamma, dbeta = parameter_gradients(dy, normalized, overwrite)
    sums = pooled_empty(dy, (2, dy.shape[3]), get_array_module(dy).float64)
    sums[0], sums[1] = dgamma, dbeta
    record_call(over_ranks, sums)
    whole = sums.astype(dy.dtype)
    mine = overwrite or dz is not dy
    pixels = get_array_module(count).maximum(count, 1)
    return input_gradient(dz, normalized, gamma, whole[0], whole[1], pixels, mine), dgamma, dbeta
