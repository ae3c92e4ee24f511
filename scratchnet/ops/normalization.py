"""Batch normalisation and local response normalisation.

Batch norm normalises every channel to mean 0 and variance 1 over all pixels of the batch, then applies a learned scale
and shift:

    x̂ = (x − μ) / √(σ² + ε)        y = γ·x̂ + β

During training, μ and σ² are computed from the batch. They depend on x, which adds two terms to the gradient:

    dx = γ / √(σ² + ε) · (dy − mean(dy) − x̂ · mean(dy · x̂))        dγ = Σ dy·x̂        dβ = Σ dy

With fixed statistics (at test time, or frozen) the map is affine: ``dx = γ / √(σ² + ε) · dy``.

Both passes do little arithmetic, so their cost is memory traffic. The mean and the variance are computed in one pass,
as sums of ``x − k`` and ``(x − k)²`` for a value k near the mean, which keeps their difference accurate. k is the mean
of a fraction p of the rows, spread over all images. For any data, such a k satisfies ``(k − μ)² ≤ σ²·(1 − p)/p``, so
the subtraction in ``σ² = mean((x − k)²) − (k − μ)²`` magnifies rounding errors by 1/p at most. x̂ is never stored,
because y and dx both have the form ``a·x + b`` with one a and one b per channel. A ReLU that follows can be computed in
the same passes (``relu=True``). If x and dy are not needed elsewhere, x − k and dx overwrite them (``overwrite=True``):
Σ dy·x̂ then needs no second subtraction of the mean, and the memory written to is already in the cache.

References
----------
Ioffe and Szegedy, "Batch normalization" (2015), algorithm 1. Chan, Golub, LeVeque, "Algorithms for computing the
sample variance" (1983), on shifted sums. Krizhevsky, Sutskever, Hinton (2012), section 3.3.
"""

from dataclasses import dataclass, replace
from typing import Any

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.cpu.channel_sums import sum_rows, sum_rows_exactly, sums_over_rows
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.dispatch import Argument, operation, overwritten, written
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.activation import keep_positive
from scratchnet.ops.geometry import integer
from scratchnet.ops.selection import keep_where_positive
from scratchnet.ops.shape import row_of

SAMPLE = 13
"""One row in this many is read for a first estimate of the mean."""

SMALL = 1 << 14
"""Up to this number of elements, all rows of a map are read."""


@dataclass(frozen=True)
class Normalized:
    """What the backward pass of batch norm needs.

    Attributes
    ----------
    x : (n, h, w, c)
        The input, or the input minus the value in ``moved``.
    y : (n, h, w, c) or None
        The output, if it includes a ReLU.
    mean, variance : (c,)
        The statistics used; the variance is the biased one (divided by n·h·w).
    inverse_std : (c,)
        1 / √(variance + ε)
    moved : ((c,), (c,)) or None
        The value subtracted from the input and the mean of the difference, if anything was subtracted.
    """

    x: Array
    y: Array | None
    mean: Array
    variance: Array
    inverse_std: Array
    moved: tuple[Array, Array] | None = None

    @property
    def mean_of_x(self) -> Array:
        """The mean of ``x`` as it is now: (c,)."""
        return self.mean if self.moved is None else self.moved[1]

    def positive(self) -> Array | None:
        """Return the mask of positive outputs of the ReLU, or None without a ReLU."""
        return None if self.y is None else self.y > 0

    def without_relu(self) -> "Normalized":
        """Return a copy for a gradient that has already passed through the ReLU's backward pass."""
        return replace(self, y=None)


NORMALIZED = Argument(
    fields={
        "x": Argument("n h w c"),
        "y": Argument("n h w c", kind="any"),
        "mean": Argument("c"),
        "variance": Argument("c"),
        "inverse_std": Argument("c"),
    }
)
"""What the operations expect of a :class:`Normalized`."""


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
    near, offset, variance = _rounded_moments(x, overwrite)
    if not overwrite:
        return batch_norm_fixed(x, gamma, beta, near + offset, variance, eps, relu)
    y, normalized = batch_norm_fixed(x, gamma, beta, offset, variance, eps, relu)
    return y, replace(normalized, mean=near + offset, moved=(near, offset))


@operation(x=written("n h w c"), near="c")
def take_off(x: Array, near: Array) -> None:
    """Subtract one value per channel, (c,), in place."""
    row = row_of(near, x.shape[2])
    parallel_rows(lambda x: get_array_module(x).subtract(x, row, out=x), x)


@operation(x="n h w c")
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
    xp = get_array_module(x)
    near = _sample_mean(x)
    row = row_of(near, x.shape[2])

    def sums(both: Array, x: Array) -> None:
        square = pooled_empty(x, x.shape)
        moved = x if overwrite else square
        xp.subtract(x, row, out=moved)
        sum_rows_exactly(moved, both[0])
        xp.square(moved, out=square)
        sum_rows_exactly(square, both[1])

    means = sums_over_rows(sums, 2, x, dtype=xp.float64) / max(1, x.size // x.shape[3])
    return near, means[0], xp.maximum(means[1] - means[0] * means[0], 0)


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
    y = pooled_empty(x, x.shape)
    scale = gamma * inverse_std
    scale_row, shift_row = row_of(scale, x.shape[2]), row_of(beta - mean * scale, x.shape[2])

    def apply(x: Array, y: Array) -> None:
        xp.multiply(x, scale_row, out=y)
        xp.add(y, shift_row, out=y)
        if relu:
            keep_positive(y)

    parallel_rows(apply, x, y)
    return y, Normalized(x, y if relu else None, mean, variance, inverse_std)


@operation(dy=overwritten("n h w c"), normalized=NORMALIZED, gamma="c")
def batch_norm_backward(
    dy: Array, normalized: Normalized, gamma: Array, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm`; ``dy`` may become dx."""
    dz, dgamma, dbeta = parameter_gradients(dy, normalized, overwrite)
    count = dy.dtype.type(max(1, dy.size // dy.shape[3]))
    return input_gradient(dz, normalized, gamma, dgamma, dbeta, count, overwrite or dz is not dy), dgamma, dbeta


@operation(dz=overwritten("n h w c"), normalized=NORMALIZED, gamma="c", dgamma="c", dbeta="c")
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
    xp = get_array_module(dz)
    # dx = s·(dy − mean(dy) − x̂·mean(dy·x̂)) with x̂ = (x − μ)/σ is s·dy + a·x + b.
    s = gamma * normalized.inverse_std
    share = -s / count
    a = share * normalized.inverse_std * dgamma
    b = share * dbeta - a * normalized.mean_of_x
    s_row, a_row, b_row = (row_of(v, dz.shape[2]) for v in (s, a, b))

    def combine(dx: Array, dz: Array, x: Array) -> None:
        term = pooled_empty(x, x.shape)
        xp.multiply(x, a_row, out=term)
        xp.add(term, b_row, out=term)
        xp.multiply(dz, s_row, out=dx)
        xp.add(dx, term, out=dx)

    dx = dz if overwrite else pooled_empty(dz, dz.shape)
    parallel_rows(combine, dx, dz, normalized.x)
    return dx


@operation(dy=overwritten("n h w c"), normalized=NORMALIZED, gamma="c")
def batch_norm_fixed_backward(
    dy: Array, normalized: Normalized, gamma: Array, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm_fixed`; ``dy`` may become dx."""
    xp = get_array_module(dy)
    dz, dgamma, dbeta = parameter_gradients(dy, normalized, overwrite)
    dx = dz if overwrite or dz is not dy else pooled_empty(dy, dy.shape)
    factor = row_of(gamma * normalized.inverse_std, dy.shape[2])
    parallel_rows(lambda dz, dx: xp.multiply(dz, factor, out=dx), dz, dx)
    return dx, dgamma, dbeta


@operation(dy=overwritten("n h w c"), normalized=NORMALIZED)
def parameter_gradients(dy: Array, normalized: Normalized, overwrite: bool = False) -> tuple[Array, Array, Array]:
    """Return dy after the ReLU's backward pass, if there is one, dγ = Σ dy·x̂ and dβ = Σ dy.

    The first is ``dy`` itself without a ReLU or with ``overwrite``, else a new array.
    """
    xp = get_array_module(dy)
    centred = normalized.moved is not None
    mean_row = None if centred else row_of(normalized.mean, dy.shape[2])

    def sums(both: Array, dz: Array, dy: Array, x: Array, y: Array | None = None) -> None:
        product = pooled_empty(x, x.shape)
        if y is not None:
            keep_where_positive(dy, y, product, dz)
        if mean_row is not None:
            xp.subtract(x, mean_row, out=product)
        xp.multiply(x if centred else product, dz, out=product)
        sum_rows(product, both[0])
        sum_rows(dz, both[1])

    y = normalized.positive() if normalized.y is None else normalized.y  # a mask also works
    dz = dy if y is None or overwrite else pooled_empty(dy, dy.shape)
    totals = sums_over_rows(sums, 2, dz, dy, normalized.x, *(() if y is None else (y,)))
    by_product, dbeta = totals[0], totals[1]
    if centred:  # Σ dy·(x − μ) = Σ dy·x − μ·Σ dy, where μ is near 0
        by_product = by_product - normalized.mean_of_x * dbeta
    return dz, by_product * normalized.inverse_std, dbeta


@operation(x="n h w c")
def local_response_norm(
    x: Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> tuple[Array, Array]:
    """Divide each element by a power of the energy in the ``size`` channels around it.

        scale = k + α/size · Σ x²        y = x · scale^(−β)

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
        Kept for the backward pass.
    """
    size = _odd(size, "local_response_norm")
    scale = x.dtype.type(k) + x.dtype.type(alpha / size) * _channel_window_sum(x * x, size)
    y: Array = x * scale ** x.dtype.type(-beta)
    return y, scale


@operation(dy="n h w c", x="n h w c", scale="n h w c")
def local_response_norm_backward(
    dy: Array, x: Array, scale: Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75
) -> Array:
    """Return dx = dy·scale^(−β) − 2αβ/size · x · Σ (dy·y/scale), the sum over the same window of channels."""
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
