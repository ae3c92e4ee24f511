"""Batch norm with its ReLU on a GPU (see ``normalization.cu``): three passes over memory forward, five backward.

x and dy are never overwritten, whatever ``overwrite`` says: the kernels promise the compiler that their arrays do not
overlap.
"""

from dataclasses import dataclass, replace

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cuda.channel_sums import Chunks
from scratchnet.engine.cuda.compiled import THREADS, contiguous, launch, row_launch
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.normalized import Normalized

FILE = "normalization"


@dataclass(frozen=True, kw_only=True)
class Scaled(Normalized):
    """Input and statistics of a batch norm for the kernels of the backward pass; ``y`` is always None.

    Attributes
    ----------
    scale, shift : (c,)
        The output is ``scale·x + shift``.
    relu : bool
        Whether negative outputs were set to 0.
    """

    scale: Array
    shift: Array
    relu: bool

    def positive(self) -> Array | None:
        """Return the mask of positive outputs of the ReLU, or None without a ReLU."""
        passed: Array = self.x * self.scale + self.shift > 0
        return passed if self.relu else None

    def without_relu(self) -> "Scaled":
        """Return a copy for a gradient that has already passed through the ReLU's backward pass."""
        return replace(self, relu=False)


def batch_norm(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-5, relu: bool = False, overwrite: bool = False
) -> tuple[Array, Scaled]:
    """Normalise by the statistics of the batch; as :func:`scratchnet.ops.normalization.batch_norm`."""
    (x,) = contiguous(x)
    return batch_norm_fixed(x, gamma, beta, *batch_statistics(x), eps, relu)


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Return the mean and the biased variance of every channel over the pixels of a batch, (c,) each."""
    (x,) = contiguous(x)
    chunks = Chunks.of(x)
    parts, c, pixels = chunks.parts(x, 2), chunks.channels, np.int64(chunks.pixels)
    mean, variance = pooled_empty(x, (c,)), pooled_empty(x, (c,))
    launch(FILE, "chunk_moments", x.dtype, chunks.first, chunks.block, x, parts, pixels, chunks.size, c)
    sizes = pixels, chunks.count, chunks.size, c
    launch(FILE, "finish_moments", x.dtype, chunks.second, chunks.block, parts, mean, variance, *sizes)
    return mean, variance


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
    x, gamma, beta, mean, variance = contiguous(x, gamma, beta, mean, variance)
    n, h, w, c = x.shape
    inverse_std, scale, shift = (pooled_empty(x, (c,)) for _ in range(3))
    given = gamma, beta, mean, variance, inverse_std, scale, shift, float(eps), c
    launch(FILE, "scale_and_shift", x.dtype, (-(-c // THREADS),), (THREADS,), *given)
    y = pooled_empty(x, x.shape)
    grid, block = row_launch(n * h, w * c)
    launch(FILE, "apply", x.dtype, grid, block, x, y, scale, shift, n * h, w * c, c, relu)
    return y, Scaled(x, None, mean, variance, inverse_std, scale=scale, shift=shift, relu=relu)


def batch_norm_backward(
    dy: Array, normalized: Normalized, gamma: Array, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm`."""
    return _backward(dy, normalized, fixed=False)


def batch_norm_fixed_backward(
    dy: Array, normalized: Normalized, gamma: Array, overwrite: bool = False
) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,) for :func:`batch_norm_fixed`."""
    return _backward(dy, normalized, fixed=True)


def _backward(dy: Array, saved: Normalized, fixed: bool) -> tuple[Array, Array, Array]:
    """Return dx, dgamma and dbeta; ``saved.scale`` includes γ."""
    if not isinstance(saved, Scaled):  # the forward pass was in textbook mode
        return NotImplemented  # type: ignore[no-any-return]
    (dy,) = contiguous(dy)
    dgamma, dbeta, a, b = _parameter_gradients(dy, saved, fixed)
    return _combine(dy, saved, a, b), dgamma, dbeta


def parameter_gradients(dy: Array, normalized: Scaled) -> tuple[Array, Array, Array]:
    """Return ``dy`` as a contiguous array, dgamma (c,) and dbeta (c,)."""
    (dy,) = contiguous(dy)
    dgamma, dbeta, _, _ = _parameter_gradients(dy, normalized, fixed=True)
    return dy, dgamma, dbeta


def input_gradient(dy: Array, normalized: Scaled, dgamma: Array, dbeta: Array, count: Array) -> Array:
    """Return dx (n, h, w, c) from sums over ``count`` (1,) pixels, of which those of ``dy`` may be a part."""
    a = -normalized.scale * normalized.inverse_std * dgamma / count
    b = -normalized.scale * dbeta / count - a * normalized.mean
    return _combine(dy, normalized, a, b)


def _parameter_gradients(dy: Array, saved: Scaled, fixed: bool) -> tuple[Array, Array, Array, Array]:
    """Return dgamma, dbeta, and the a and b of dx = scale·dz + a·x + b, (c,) each."""
    chunks = Chunks.of(dy)
    c, parts, pixels = chunks.channels, chunks.parts(dy, 2), np.int64(chunks.pixels)
    sizes = pixels, chunks.size, c, saved.relu
    launch(
        FILE, "chunk_slopes", dy.dtype, chunks.first, chunks.block,
        dy, saved.x, saved.mean, saved.scale, saved.shift, parts, *sizes,
    )  # fmt: skip
    dgamma, dbeta, a, b = (pooled_empty(dy, (c,)) for _ in range(4))
    launch(
        FILE, "finish_slopes", dy.dtype, chunks.second, chunks.block,
        parts, saved.mean, saved.inverse_std, saved.scale, dgamma, dbeta, a, b, pixels, chunks.count, c, fixed,
    )  # fmt: skip
    return dgamma, dbeta, a, b


def _combine(dy: Array, saved: Scaled, a: Array, b: Array) -> Array:
    """Return dx = scale·dz + a·x + b."""
    n, h, w, c = dy.shape
    dx = pooled_empty(dy, dy.shape)
    grid, block = row_launch(n * h, w * c)
    launch(
        FILE, "combine", dy.dtype, grid, block,
        dy, saved.x, saved.scale, saved.shift, a, b, dx, n * h, w * c, c, saved.relu,
    )  # fmt: skip
    return dx
