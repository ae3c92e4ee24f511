"""Batch normalisation and local response normalisation.

Batch norm brings every channel to mean 0 and variance 1 over all pixels of the batch, then lets the network choose a
scale and a shift:

    x̂ = (x − μ) / √(σ² + ε)        y = γ·x̂ + β

In training μ and σ² are the batch's own, so they depend on x, and the gradient has two more terms than one expects:

    dx = γ / √(σ² + ε) · (dy − mean(dy) − x̂ · mean(dy · x̂))        dγ = Σ dy·x̂        dβ = Σ dy

With fixed statistics (at test time, or frozen) the map is linear: ``dx = γ / √(σ² + ε) · dy``.

References
----------
Ioffe and Szegedy, "Batch normalization" (2015), algorithm 1. Krizhevsky, Sutskever, Hinton (2012), section 3.3.
"""

from dataclasses import dataclass

from scratchnet.arrays import Array, namespace
from scratchnet.ops.sums import column_sums, sum_partial, sum_rows
from scratchnet.threads import over_rows


@dataclass(frozen=True)
class Normalized:
    """What the backward pass of batch norm needs.

    Attributes
    ----------
    x_hat : (n, h, w, c)
        The normalised input.
    mean, variance : (c,)
        The statistics used; the variance is the biased one (divided by n·h·w).
    inverse_std : (c,)
        1 / √(variance + ε)
    """

    x_hat: Array
    mean: Array
    variance: Array
    inverse_std: Array


def batch_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, Normalized]:
    """Normalise by the batch's own statistics.

    Parameters
    ----------
    x : (n, h, w, c)
    gamma, beta : (c,)
        Scale and shift.
    eps : float
        Added to the variance.

    Returns
    -------
    y : (n, h, w, c)
    normalized : Normalized
    """
    xp = namespace(x)
    count, (n, h, w, c) = x.size // x.shape[3], x.shape
    mean = column_sums(x) / x.dtype.type(count)
    x_hat, row = xp.empty((n, h, w, c), x.dtype), xp.tile(mean, w)

    def centre(x: Array, x_hat: Array) -> Array:
        xp.subtract(x, row, out=x_hat)
        return sum_rows(x_hat * x_hat, c)

    variance = sum_partial(over_rows(centre, x, x_hat)) / x.dtype.type(count)
    return _scale_and_shift(x_hat, mean, variance, gamma, beta, eps)


def batch_norm_fixed(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float = 1e-5
) -> tuple[Array, Normalized]:
    """Normalise by given statistics: running averages at test time, or frozen ones."""
    xp = namespace(x)
    x_hat, row = xp.empty(x.shape, x.dtype), xp.tile(mean, x.shape[2])
    over_rows(lambda x, x_hat: xp.subtract(x, row, out=x_hat), x, x_hat)
    return _scale_and_shift(x_hat, mean, variance, gamma, beta, eps)


def _scale_and_shift(
    x_hat: Array, mean: Array, variance: Array, gamma: Array, beta: Array, eps: float
) -> tuple[Array, Normalized]:
    """Finish both forms from the centred input, which is overwritten."""
    xp = namespace(x_hat)
    inverse_std = 1 / xp.sqrt(variance + x_hat.dtype.type(eps))
    y: Array = xp.empty(x_hat.shape, x_hat.dtype)
    # A vector of c numbers is repeated for a whole row of pixels: NumPy's inner loop is then w times longer.
    inverse_row, gamma_row, beta_row = (xp.tile(v, y.shape[2]) for v in (inverse_std, gamma, beta))

    def finish(x_hat: Array, y: Array) -> None:
        xp.multiply(x_hat, inverse_row, out=x_hat)
        xp.multiply(x_hat, gamma_row, out=y)
        xp.add(y, beta_row, out=y)

    over_rows(finish, x_hat, y)
    return y, Normalized(x_hat, mean, variance, inverse_std)


def batch_norm_backward(dy: Array, normalized: Normalized, gamma: Array) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm`."""
    xp = namespace(dy)
    dgamma, dbeta = _parameter_gradients(dy, normalized)
    count = dy.dtype.type(dy.size // dy.shape[3])
    dx: Array = xp.empty(dy.shape, dy.dtype)
    mean_dy, mean_product, factor = (
        xp.tile(v, dy.shape[2]) for v in (dbeta / count, dgamma / count, gamma * normalized.inverse_std)
    )

    def combine(dy: Array, x_hat: Array, dx: Array) -> None:
        xp.multiply(x_hat, mean_product, out=dx)
        xp.subtract(dy, dx, out=dx)
        xp.subtract(dx, mean_dy, out=dx)
        xp.multiply(dx, factor, out=dx)

    over_rows(combine, dy, normalized.x_hat, dx)
    return dx, dgamma, dbeta


def batch_norm_fixed_backward(dy: Array, normalized: Normalized, gamma: Array) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm_fixed`."""
    xp = namespace(dy)
    dgamma, dbeta = _parameter_gradients(dy, normalized)
    dx: Array = xp.empty(dy.shape, dy.dtype)
    factor = xp.tile(gamma * normalized.inverse_std, dy.shape[2])
    over_rows(lambda dy, dx: xp.multiply(dy, factor, out=dx), dy, dx)
    return dx, dgamma, dbeta


def _parameter_gradients(dy: Array, normalized: Normalized) -> tuple[Array, Array]:
    """Return dγ = Σ dy·x̂ and dβ = Σ dy."""
    c = dy.shape[3]
    both = over_rows(lambda dy, x_hat: (sum_rows(dy * x_hat, c), sum_rows(dy, c)), dy, normalized.x_hat)
    return sum_partial([a for a, _ in both]), sum_partial([b for _, b in both])


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
