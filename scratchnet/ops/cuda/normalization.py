"""Batch norm with its ReLU on a GPU (see ``normalization.cu``): three passes over memory forward, five backward."""

from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array
from scratchnet.ops.cuda.compiled import THREADS, contiguous, launch, rows_and_numbers
from scratchnet.ops.cuda.sums import Chunks
from scratchnet.ops.normalization import Normalized
from scratchnet.recycling import empty

FILE = "normalization"


@dataclass(frozen=True)
class Scaled(Normalized):
    """What the kernels of the backward pass need; ``y`` is None, whether or not a ReLU was part of it.

    Attributes
    ----------
    scale, shift : (c,)
        The output is ``scale·x + shift``
    relu : bool
        … and 0 in place of what is negative.
    """

    scale: Array
    shift: Array
    relu: bool


def batch_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5, relu: bool = False) -> tuple[Array, Scaled]:
    """Normalise by the batch's own statistics; as :func:`scratchnet.ops.normalization.batch_norm`."""
    (x,) = contiguous(x)
    chunks = Chunks.of(x)
    parts, c, pixels = chunks.parts(x, 2), chunks.channels, np.int64(chunks.pixels)
    mean, variance = empty(x, (c,)), empty(x, (c,))
    launch(FILE, "chunk_moments", x.dtype, chunks.first, chunks.block, x, parts, pixels, chunks.size, c)
    sizes = pixels, chunks.count, chunks.size, c
    launch(FILE, "finish_moments", x.dtype, chunks.second, chunks.block, parts, mean, variance, *sizes)
    return batch_norm_fixed(x, gamma, beta, mean, variance, eps, relu)


def batch_norm_fixed(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    eps: float = 1e-5,
    relu: bool = False,
) -> tuple[Array, Scaled]:
    """Normalise by given statistics; as :func:`scratchnet.ops.normalization.batch_norm_fixed`."""
    (x,) = contiguous(x)
    n, h, w, c = x.shape
    inverse_std, scale, shift = (empty(x, (c,)) for _ in range(3))
    given = gamma, beta, mean, variance, inverse_std, scale, shift, float(eps), c
    launch(FILE, "scale_and_shift", x.dtype, (-(-c // THREADS),), (THREADS,), *given)
    y = empty(x, x.shape)
    grid, block = rows_and_numbers(n * h, w * c)
    launch(FILE, "apply", x.dtype, grid, block, x, y, scale, shift, n * h, w * c, c, relu)
    return y, Scaled(x, None, mean, variance, inverse_std, scale, shift, relu)


def batch_norm_backward(dy: Array, normalized: Normalized, gamma: Array) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm`."""
    return _backward(dy, normalized, fixed=False)


def batch_norm_fixed_backward(dy: Array, normalized: Normalized, gamma: Array) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm_fixed`."""
    return _backward(dy, normalized, fixed=True)


def _backward(dy: Array, normalized: Normalized, fixed: bool) -> tuple[Array, Array, Array]:
    """Go back; what is kept holds γ already."""
    if not isinstance(normalized, Scaled):  # the forward pass was in textbook mode
        return NotImplemented  # type: ignore[no-any-return]
    (dy,) = contiguous(dy)
    n, h, w, c = dy.shape
    x, mean, scale, shift, relu = (getattr(normalized, name) for name in ("x", "mean", "scale", "shift", "relu"))
    chunks = Chunks.of(dy)
    parts, pixels = chunks.parts(dy, 2), np.int64(chunks.pixels)
    given = dy, x, mean, scale, shift, parts, pixels, chunks.size, c, relu
    launch(FILE, "chunk_slopes", dy.dtype, chunks.first, chunks.block, *given)
    dgamma, dbeta, a, b = (empty(dy, (c,)) for _ in range(4))
    sums = parts, mean, normalized.inverse_std, scale
    sizes = pixels, chunks.count, c, fixed
    launch(FILE, "finish_slopes", dy.dtype, chunks.second, chunks.block, *sums, dgamma, dbeta, a, b, *sizes)
    dx = empty(dy, dy.shape)
    grid, block = rows_and_numbers(n * h, w * c)
    launch(FILE, "combine", dy.dtype, grid, block, dy, x, scale, shift, a, b, dx, n * h, w * c, c, relu)
    return dx, dgamma, dbeta
