"""Batch norm on a CPU: as few passes over memory as possible, on all cores.

Both passes do little arithmetic, so their cost is memory traffic. The mean and the variance are computed in one pass,
as sums of ``x − k`` and ``(x − k)²`` for a value k near the mean, which keeps their difference accurate. k is the mean
of a fraction p of the rows, spread over all images. For any data, such a k satisfies ``(k − μ)² ≤ σ²·(1 − p)/p``, so
the subtraction in ``σ² = mean((x − k)²) − (k − μ)²`` magnifies rounding errors by 1/p at most. x̂ is never stored,
because y and dx both have the form ``a·x + b`` with one a and one b per channel. A ReLU that follows is computed in the
same passes, and its mask again in the backward pass, so y is not kept for it. If x and dy are not needed elsewhere,
x − k and dx overwrite them (``overwrite=True``): Σ dy·x̂ then needs no second subtraction of the mean, and the memory
written to is already in the cache.

Reference: Chan, Golub, LeVeque, "Algorithms for computing the sample variance" (1983), on shifted sums.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.activation import keep_positive
from scratchnet.engine.cpu.channel_sums import sum_rows, sum_rows_exactly, sums_over_rows
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.cpu.selection import keep_where_negative
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.memory_layout import row_of
from scratchnet.ops.normalized import Normalized

SAMPLE = 13
"""One row in this many is read for a first estimate of the mean."""

SMALL = 1 << 14
"""Up to this number of elements, all rows of a map are read."""


def batch_norm(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-5, relu: bool = False, overwrite: bool = False
) -> tuple[Array, Normalized]:
    """Normalise by the statistics of the batch; as :func:`scratchnet.ops.normalization.batch_norm`.

    With ``overwrite``, a value near the mean is subtracted from ``x`` in place.
    """
    near, offset, variance = _rounded_moments(x, overwrite)
    if not overwrite:
        return batch_norm_fixed(x, gamma, beta, near + offset, variance, eps, relu)
    y, normalized = batch_norm_fixed(x, gamma, beta, offset, variance, eps, relu)
    return y, replace(normalized, mean=near + offset, subtracted=(near, offset))


def subtract_per_channel(x: Array, values: Array) -> None:
    """Subtract one value per channel, (c,), in place."""
    row = row_of(values, x.shape[2])
    parallel_rows(lambda x: np.subtract(x, row, out=x), x)


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Return the mean and the biased variance of every channel over the pixels of a batch, (c,) each."""
    near, offset, variance = _rounded_moments(x, overwrite=False)
    return near + offset, variance


def _rounded_moments(x: Array, overwrite: bool) -> tuple[Array, Array, Array]:
    """Return the :func:`moments` in the dtype of ``x``."""
    near, offset, variance = moments(x, overwrite)
    return near, offset.astype(x.dtype), variance.astype(x.dtype)


def moments(x: Array, overwrite: bool = False) -> tuple[Array, Array, Array]:
    """Return a value near the mean, and in float64 the mean's distance from it and the variance, (c,) each.

    With ``overwrite``, that value is subtracted from ``x`` in place.
    """
    near = _sample_mean(x)
    row = row_of(near, x.shape[2])

    def sums(both: Array, x: Array) -> None:
        square = pooled_empty(x, x.shape)
        centred = x if overwrite else square
        np.subtract(x, row, out=centred)
        sum_rows_exactly(centred, both[0])
        np.square(centred, out=square)
        sum_rows_exactly(square, both[1])

    means = sums_over_rows(sums, 2, x, dtype=np.float64) / max(1, x.size // x.shape[3])
    return near, means[0], np.maximum(means[1] - means[0] * means[0], 0)


def _sample_mean(x: Array) -> Array:
    """Return the mean of every channel over a part of the rows: (c,)."""
    rows = x[:, :: SAMPLE if x.size > SMALL else 1]
    near = pooled_empty(x, (x.shape[3],))
    if rows.size <= 4 * SMALL:
        sum_rows(rows, near)
    else:
        near[...] = sums_over_rows(lambda sums, piece: sum_rows(piece, sums[0]), 1, rows)[0]
    near /= x.dtype.type(max(1, rows.size // x.shape[3]))
    return near


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
    inverse_std = 1 / np.sqrt(variance + x.dtype.type(eps))
    y = pooled_empty(x, x.shape)
    scale = gamma * inverse_std
    shift = beta - mean * scale
    scale_row, shift_row = row_of(scale, x.shape[2]), row_of(shift, x.shape[2])

    def apply(x: Array, y: Array) -> None:
        np.multiply(x, scale_row, out=y)
        np.add(y, shift_row, out=y)
        if relu:
            keep_positive(y)

    parallel_rows(apply, x, y)
    mask = {"scale": scale, "shift": shift} if relu else {}
    return y, Normalized(x, None, mean, variance, inverse_std, **mask)


def batch_norm_backward(
    dy: Array, normalized: Normalized, gamma: Array, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm`; ``dy`` may become dx."""
    dz, dgamma, dbeta = parameter_gradients(dy, normalized, overwrite)
    count = dy.dtype.type(max(1, dy.size // dy.shape[3]))
    return input_gradient(dz, normalized, gamma, dgamma, dbeta, count, overwrite or dz is not dy), dgamma, dbeta


def input_gradient(
    dz: Array,
    normalized: Normalized,
    gamma: Array,
    dgamma: Array,
    dbeta: Array,
    count: Any,
    overwrite: bool = False,
) -> Array:
    """Return dx (n, h, w, c).

    Parameters
    ----------
    dz : (n, h, w, c)
        The gradient with respect to the normalised output, before the ReLU if there is one.
    normalized : Normalized
    gamma, dgamma, dbeta : (c,)
        The scale, Σ dz·x̂ and Σ dz, summed over all pixels that the statistics were computed from.
    count : number or (1,)
        The number of these pixels.
    overwrite : bool
        Whether to write dx to ``dz``.
    """
    # dx = s·(dy − mean(dy) − x̂·mean(dy·x̂)) with x̂ = (x − μ)/σ is s·dy + a·x + b.
    s = gamma * normalized.inverse_std
    share = -s / count
    a = share * normalized.inverse_std * dgamma
    b = share * dbeta - a * normalized.mean_of_x
    s_row, a_row, b_row = (row_of(v, dz.shape[2]) for v in (s, a, b))

    def combine(dx: Array, dz: Array, x: Array) -> None:
        term = pooled_empty(x, x.shape)
        np.multiply(x, a_row, out=term)
        np.add(term, b_row, out=term)
        np.multiply(dz, s_row, out=dx)
        np.add(dx, term, out=dx)

    dx = dz if overwrite else pooled_empty(dz, dz.shape)
    parallel_rows(combine, dx, dz, normalized.x)
    return dx


def batch_norm_fixed_backward(
    dy: Array, normalized: Normalized, gamma: Array, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm_fixed`; ``dy`` may become dx."""
    dz, dgamma, dbeta = parameter_gradients(dy, normalized, overwrite)
    dx = dz if overwrite or dz is not dy else pooled_empty(dy, dy.shape)
    factor = row_of(gamma * normalized.inverse_std, dy.shape[2])
    parallel_rows(lambda dz, dx: np.multiply(dz, factor, out=dx), dz, dx)
    return dx, dgamma, dbeta


def parameter_gradients(dy: Array, normalized: Normalized, overwrite: bool = False) -> tuple[Array, Array, Array]:
    """Return dy after the ReLU's backward pass, if there is one, dγ = Σ dy·x̂ and dβ = Σ dy.

    The first is ``dy`` itself without a ReLU or with ``overwrite``, else a new array.
    """
    relu = None
    if normalized.scale is not None and normalized.shift is not None:
        # The sign bit of −y = −scale·x − shift is the mask. 0 − shift is never −0, so y = 0 has no sign bit.
        relu = row_of(-normalized.scale, dy.shape[2]), row_of(0 - normalized.shift, dy.shape[2])
    elif normalized.y is not None:  # the forward pass was in textbook mode
        dy = normalized.relu_backward(dy)
    centred = normalized.subtracted is not None
    mean_row = None if centred else row_of(normalized.mean, dy.shape[2])

    def sums(both: Array, dz: Array, dy: Array, x: Array) -> None:
        product = pooled_empty(x, x.shape)
        if relu is not None:
            np.multiply(x, relu[0], out=product)
            np.add(product, relu[1], out=product)
            keep_where_negative(dy, product, dz)
        if mean_row is not None:
            np.subtract(x, mean_row, out=product)
        np.multiply(x if centred else product, dz, out=product)
        sum_rows(product, both[0])
        sum_rows(dz, both[1])

    dz = dy if relu is None or overwrite else pooled_empty(dy, dy.shape)
    totals = sums_over_rows(sums, 2, dz, dy, normalized.x)
    by_product, dbeta = totals[0], totals[1]
    if centred:  # Σ dy·(x − μ) = Σ dy·x − μ·Σ dy, where μ is near 0
        by_product = by_product - normalized.mean_of_x * dbeta
    return dz, by_product * normalized.inverse_std, dbeta
