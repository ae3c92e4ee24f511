"""Synchronised batch norm by the kernels of :mod:`scratchnet.engine.cuda.normalization`."""

from scratchnet.arrays import AllReduce, Array, get_array_module
from scratchnet.engine.cuda.normalization import (
    Scaled,
    batch_norm_fixed,
    batch_statistics,
    input_gradient,
    parameter_gradients,
)
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.normalized import Normalized
from scratchnet.ops.synchronized import whole_statistics


def shared_batch_norm(
    x: Array, gamma: Array, beta: Array, allreduce: AllReduce, eps: float = 1e-5, relu: bool = False
) -> tuple[Array, Normalized, Array]:
    """Normalise one process's share; as :func:`scratchnet.ops.synchronized.shared_batch_norm`."""
    xp, c = get_array_module(x), x.shape[3]
    sums = pooled_empty(x, (2 * c + 1,), xp.float64)
    sums[:c], sums[c:-1] = batch_statistics(x)
    sums[c:-1] += sums[:c] * sums[:c]
    sums[-1:] = 1
    sums *= x.size // c
    mean, variance, count = whole_statistics(sums, x.dtype, allreduce)
    return *batch_norm_fixed(x, gamma, beta, mean, variance, eps, relu), count


def shared_batch_norm_backward(
    dy: Array, normalized: Normalized, gamma: Array, count: Array, allreduce: AllReduce, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), and the share's own dgamma (c,) and dbeta (c,)."""
    if not isinstance(normalized, Scaled):  # the forward pass was in textbook mode
        return NotImplemented  # type: ignore[no-any-return]
    xp = get_array_module(dy)
    dy, dgamma, dbeta = parameter_gradients(dy, normalized)
    sums = pooled_empty(dy, (2, dy.shape[3]), xp.float64)
    sums[0], sums[1] = dgamma, dbeta
    allreduce(sums)
    whole = sums.astype(dy.dtype)
    return input_gradient(dy, normalized, whole[0], whole[1], xp.maximum(count, 1)), dgamma, dbeta
