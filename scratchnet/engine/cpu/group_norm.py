"""Group norm on a CPU: two passes over each image forward, two backward, with sums per channel as in batch norm.

The statistics of a group follow from those of its channels: its mean is the mean of their means, its variance the mean
of their variances plus the variance of their means. So the sums are formed per channel, which is what batch norm's
passes do, and y and dx both have the form ``a·x + b`` with one a and one b per image and channel; x̂ is never stored.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.cpu.normalization import moments, parameter_gradients
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.memory_layout import row_of
from scratchnet.ops.normalized import Normalized


def group_norm(x: Array, gamma: Array, beta: Array, groups: int, eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """Normalise every image over groups of channels; see :func:`scratchnet.ops.group_norm.group_norm`."""
    n, _, w, c = x.shape
    y, means, inverses = pooled_empty(x, x.shape), pooled_empty(x, (n, groups)), pooled_empty(x, (n, groups))
    for i in range(n):
        near, offset, variance = moments(x[i : i + 1])
        of_channels = (near + offset).reshape(groups, -1)
        mean = of_channels.mean(axis=1, keepdims=True)
        spread = (variance.reshape(groups, -1) + (of_channels - mean) ** 2).mean(axis=1)
        means[i] = mean[:, 0]
        inverses[i] = 1 / np.sqrt(spread + eps)
        scale = gamma * _per_channel(inverses[i], c)
        scale_row, shift_row = row_of(scale, w), row_of(beta - _per_channel(means[i], c) * scale, w)

        def apply(x: Array, y: Array, scale_row: Array = scale_row, shift_row: Array = shift_row) -> None:
            np.multiply(x, scale_row, out=y)
            np.add(y, shift_row, out=y)

        parallel_rows(apply, x[i : i + 1], y[i : i + 1])
    return y, means, inverses


def group_norm_backward(
    dy: Array, x: Array, mean: Array, inverse_std: Array, gamma: Array
) -> tuple[Array, Array, Array]:
    """Return dx, dgamma and dbeta; see :func:`scratchnet.ops.group_norm.group_norm_backward`."""
    (n, h, w, c), groups = dy.shape, mean.shape[1]
    dx, count = pooled_empty(dy, dy.shape), dy.dtype.type(h * w * c // groups)
    dgamma, dbeta = np.zeros(c), np.zeros(c)
    for i in range(n):
        here, middle, inverse = slice(i, i + 1), _per_channel(mean[i], c), _per_channel(inverse_std[i], c)
        normalized = Normalized(x[here], None, middle, inverse, inverse)
        _, by_x_hat, by_one = parameter_gradients(dy[here], normalized)
        dgamma, dbeta = dgamma + by_x_hat, dbeta + by_one
        # dx = s·(dz − mean(dz) − x̂·mean(dz·x̂)) with x̂ = (x − μ)·s is s·γ·dy + a·x + b.
        share = -inverse / count
        a = share * inverse * _group_sums(gamma * by_x_hat, groups)
        b = share * _group_sums(gamma * by_one, groups) - a * middle
        rows = [row_of(values, w) for values in (gamma * inverse, a, b)]

        def combine(dx: Array, dy: Array, x: Array, rows: list[Array] = rows) -> None:
            term = pooled_empty(x, x.shape)
            np.multiply(x, rows[1], out=term)
            np.add(term, rows[2], out=term)
            np.multiply(dy, rows[0], out=dx)
            np.add(dx, term, out=dx)

        parallel_rows(combine, dx[here], dy[here], x[here])
    return dx, dgamma.astype(dy.dtype), dbeta.astype(dy.dtype)


def _per_channel(values: Array, channels: int) -> Array:
    """Repeat the values of groups for their channels: (groups,) → (channels,)."""
    return np.repeat(values, channels // len(values))


def _group_sums(values: Array, groups: int) -> Array:
    """Return for every channel the sum over its group: (channels,)."""
    return _per_channel(values.reshape(groups, -1).sum(axis=1), len(values))
