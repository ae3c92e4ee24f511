"""Batch normalisation and local response normalisation.

Batch norm brings every channel to mean 0 and variance 1 over all pixels of the batch, then lets the network choose a
scale and a shift:

    x̂ = (x − μ) / √(σ² + ε)        y = γ·x̂ + β

In training μ and σ² are the batch's own, so they depend on x, and the gradient has two more terms than one expects:

    dx = γ / √(σ² + ε) · (dy − mean(dy) − x̂ · mean(dy · x̂))        dγ = Σ dy·x̂        dβ = Σ dy

With fixed statistics (at test time, or frozen) the map is linear: ``dx = γ / √(σ² + ε) · dy``.

Both are passes over memory with little arithmetic, so what counts is how often a number is fetched. The mean and the
variance are found in one pass, as sums of ``x − k`` and ``(x − k)²`` round a value k near the mean, so that their
difference stays exact; x̂ is never stored, because y and dx are both of the form ``a·x + b`` with an a and a b per
channel; and a ReLU that follows is done in the same passes (``relu=True``).

References
----------
Ioffe and Szegedy, "Batch normalization" (2015), algorithm 1. Chan, Golub, LeVeque, "Algorithms for computing the
sample variance" (1983), on shifted sums. Krizhevsky, Sutskever, Hinton (2012), section 3.3.
"""

from dataclasses import dataclass
from typing import Any

from scratchnet.arrays import Array, namespace
from scratchnet.ops.activation import keep_positive
from scratchnet.ops.arrangement import row_of
from scratchnet.ops.dispatch import on_any_device
from scratchnet.ops.sums import sum_partial, sum_rows
from scratchnet.recycling import empty
from scratchnet.threads import over_rows


@dataclass(frozen=True)
class Normalized:
    """What the backward pass of batch norm needs.

    Attributes
    ----------
    x : (n, h, w, c)
        The input.
    y : (n, h, w, c) or None
        The output, where a ReLU was part of it.
    mean, variance : (c,)
        The statistics used; the variance is the biased one (divided by n·h·w).
    inverse_std : (c,)
        1 / √(variance + ε)
    """

    x: Array
    y: Array | None
    mean: Array
    variance: Array
    inverse_std: Array

    def positive(self) -> Array | None:
        """Return where a ReLU let its input through; None where there was none."""
        return None if self.y is None else self.y > 0


@on_any_device
def batch_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5, relu: bool = False) -> tuple[Array, Normalized]:
    """Normalise by the batch's own statistics.

    Parameters
    ----------
    x : (n, h, w, c)
    gamma, beta : (c,)
        Scale and shift.
    eps : float
        Added to the variance.
    relu : bool
        Whether to set negative results to 0.

    Returns
    -------
    y : (n, h, w, c)
    normalized : Normalized
    """
    return batch_norm_fixed(x, gamma, beta, *batch_statistics(x), eps, relu)


@on_any_device
def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Return mean and (biased) variance of every channel over the pixels of a batch, (c,) each."""
    xp = namespace(x)
    c, count = x.shape[3], x.dtype.type(x.size // x.shape[3])
    near = sum_rows(x[:1, :1], c) / x.dtype.type(x.shape[2])  # the mean of one row of pixels
    row = row_of(near, x.shape[2])

    def sums(x: Array) -> Array:
        moved, both = empty(x, x.shape), empty(x, (2, c))
        xp.subtract(x, row, out=moved)
        both[0] = sum_rows(moved, c)
        xp.square(moved, out=moved)
        both[1] = sum_rows(moved, c)
        return both

    means = sum_partial(over_rows(sums, x)) / count
    return near + means[0], xp.maximum(means[1] - means[0] * means[0], 0)


@on_any_device
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
    xp = namespace(x)
    inverse_std = 1 / xp.sqrt(variance + x.dtype.type(eps))
    y = empty(x, x.shape)
    scale = gamma * inverse_std
    scale_row, shift_row = row_of(scale, x.shape[2]), row_of(beta - mean * scale, x.shape[2])

    def apply(x: Array, y: Array) -> None:
        xp.multiply(x, scale_row, out=y)
        xp.add(y, shift_row, out=y)
        if relu:
            keep_positive(y)

    over_rows(apply, x, y)
    return y, Normalized(x, y if relu else None, mean, variance, inverse_std)


@on_any_device
def batch_norm_backward(dy: Array, normalized: Normalized, gamma: Array) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm`."""
    dz, dgamma, dbeta = parameter_gradients(dy, normalized)
    count = dy.dtype.type(dy.size // dy.shape[3])
    return input_gradient(dy, dz, normalized, gamma, dgamma, dbeta, count), dgamma, dbeta


@on_any_device
def input_gradient(
    dy: Array, dz: Array, normalized: Normalized, gamma: Array, dgamma: Array, dbeta: Array, count: Any
) -> Array:
    """Return dx (n, h, w, c), written over ``dz`` where that is an array of its own.

    Parameters
    ----------
    dy, dz : (n, h, w, c)
        The gradient by the output, and behind the ReLU if there was one.
    normalized : Normalized
    gamma, dgamma, dbeta : (c,)
        The scale; Σ dz·x̂ and Σ dz over all pixels that the statistics are of.
    count : number or (1,)
        How many those are.
    """
    xp = namespace(dy)
    # dx = s·(dy − mean(dy) − x̂·mean(dy·x̂)) with x̂ = (x − μ)/σ is s·dy + a·x + b.
    s = gamma * normalized.inverse_std
    share = -s / count
    a = share * normalized.inverse_std * dgamma
    b = share * dbeta - a * normalized.mean
    s_row, a_row, b_row = (row_of(v, dy.shape[2]) for v in (s, a, b))

    def combine(dx: Array, dy: Array, x: Array) -> None:
        term = empty(x, x.shape)
        xp.multiply(x, a_row, out=term)
        xp.add(term, b_row, out=term)
        xp.multiply(dy, s_row, out=dx)
        xp.add(dx, term, out=dx)

    dx = empty(dy, dy.shape) if dz is dy else dz
    over_rows(combine, dx, dz, normalized.x)
    return dx


@on_any_device
def batch_norm_fixed_backward(dy: Array, normalized: Normalized, gamma: Array) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm_fixed`."""
    xp = namespace(dy)
    dz, dgamma, dbeta = parameter_gradients(dy, normalized)
    dx = empty(dy, dy.shape) if dz is dy else dz
    factor = row_of(gamma * normalized.inverse_std, dy.shape[2])
    over_rows(lambda dz, dx: xp.multiply(dz, factor, out=dx), dz, dx)
    return dx, dgamma, dbeta


@on_any_device
def parameter_gradients(dy: Array, normalized: Normalized) -> tuple[Array, Array, Array]:
    """Return dy behind the ReLU, if there was one, as a new array, dγ = Σ dy·x̂ and dβ = Σ dy."""
    xp = namespace(dy)
    c = dy.shape[3]
    mean_row = row_of(normalized.mean, dy.shape[2])

    def sums(dz: Array, dy: Array, x: Array, y: Array | None = None) -> Array:
        if y is not None:
            xp.greater(y, 0, out=dz, casting="unsafe")
            xp.multiply(dz, dy, out=dz)
        product, both = empty(x, x.shape), empty(x, (2, c))
        xp.subtract(x, mean_row, out=product)
        xp.multiply(product, dz, out=product)
        both[0], both[1] = sum_rows(product, c), sum_rows(dz, c)
        return both

    y = normalized.positive() if normalized.y is None else normalized.y  # a mask is as good
    if y is None:
        dz = dy
        totals = sum_partial(over_rows(sums, dz, dy, normalized.x))
    else:
        dz = empty(dy, dy.shape)
        totals = sum_partial(over_rows(sums, dz, dy, normalized.x, y))
    return dz, totals[0] * normalized.inverse_std, totals[1]


@on_any_device
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


@on_any_device
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
