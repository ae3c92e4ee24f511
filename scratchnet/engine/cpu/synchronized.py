"""Synchronised batch norm with the passes over memory of :mod:`scratchnet.engine.cpu.normalization`.

The sums over processes are recorded in a capture, so that a replay exchanges them again.
"""

from functools import partial

import numpy as np

from scratchnet.arrays import AllReduce, Array
from scratchnet.engine.capture import record_call
from scratchnet.engine.cpu.normalization import batch_norm_fixed, input_gradient, moments, parameter_gradients
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.normalized import Normalized
from scratchnet.ops.synchronized import whole_statistics


def shared_batch_norm(
    x: Array, gamma: Array, beta: Array, allreduce: AllReduce, eps: float = 1e-5, relu: bool = False
) -> tuple[Array, Normalized, Array]:
    """Normalise one process's share; as :func:`scratchnet.ops.synchronized.shared_batch_norm`."""
    c = x.shape[3]
    sums = pooled_empty(x, (2 * c + 1,), np.float64)
    near, offset, variance = moments(x)
    sums[:c], sums[c:-1] = near, variance
    sums[:c] += offset  # in float64: a rounded mean would add its error to the variance between processes
    sums[c:-1] += sums[:c] * sums[:c]
    sums[-1:] = 1
    sums *= np.float64(x.size // c)
    mean, variance, count = whole_statistics(sums, x.dtype, partial(record_call, allreduce))
    return *batch_norm_fixed(x, gamma, beta, mean, variance, eps, relu), count


def shared_batch_norm_backward(
    dy: Array, normalized: Normalized, gamma: Array, count: Array, allreduce: AllReduce, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), and the share's own dgamma (c,) and dbeta (c,); ``dy`` may become dx."""
    dz, dgamma, dbeta = parameter_gradients(dy, normalized, overwrite)
    sums = pooled_empty(dy, (2, dy.shape[3]), np.float64)
    sums[0], sums[1] = dgamma, dbeta
    record_call(allreduce, sums)
    whole = sums.astype(dy.dtype)
    mine = overwrite or dz is not dy
    return input_gradient(dz, normalized, gamma, whole[0], whole[1], np.maximum(count, 1), mine), dgamma, dbeta
