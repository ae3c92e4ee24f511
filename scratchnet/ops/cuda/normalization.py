"""Batch norm with its ReLU on a GPU (see ``normalization.cu``): three passes over memory forward, five backward."""

from dataclasses import dataclass
from math import prod

import numpy as np

from scratchnet.arrays import Array
from scratchnet.ops.cuda.compiled import THREADS, Sizes, contiguous, launch, rows_and_numbers
from scratchnet.ops.normalization import Normalized
from scratchnet.recycling import empty

FILE = "normalization"

LARGEST_CHUNK = 4096
"""Pixels whose sums one block makes: few enough for sums in float32, many enough for the second stage to be short."""

BLOCKS = 1024
"""Blocks that keep a large GPU busy; the chunks get smaller where there would be fewer."""


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
    c, pixels = x.shape[3], prod(x.shape[:3])
    chunk, parts = _parts(x)
    grid, finish, block = _grids(parts)
    mean, variance = empty(x, (c,)), empty(x, (c,))
    launch(FILE, "chunk_moments", x.dtype, grid, block, x, parts, np.int64(pixels), chunk, c)
    sizes = np.int64(pixels), len(parts), chunk, c
    launch(FILE, "finish_moments", x.dtype, finish, block, parts, mean, variance, *sizes)
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


def batch_norm_backward(dy: Array, normalized: Scaled, fixed: bool = False) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,), dbeta (c,); with ``fixed`` statistics, their gradient is left out."""
    (dy,) = contiguous(dy)
    n, h, w, c = dy.shape
    pixels = np.int64(n * h * w)
    x, mean, scale, shift, relu = (getattr(normalized, name) for name in ("x", "mean", "scale", "shift", "relu"))
    chunk, parts = _parts(dy)
    grid, finish, block = _grids(parts)
    launch(FILE, "chunk_slopes", dy.dtype, grid, block, dy, x, mean, scale, shift, parts, pixels, chunk, c, relu)
    dgamma, dbeta, a, b = (empty(dy, (c,)) for _ in range(4))
    launch(
        FILE, "finish_slopes", dy.dtype, finish, block,
        parts, mean, normalized.inverse_std, scale, dgamma, dbeta, a, b, pixels, len(parts), c, fixed,
    )  # fmt: skip
    dx = empty(dy, dy.shape)
    grid, block = rows_and_numbers(n * h, w * c)
    launch(FILE, "combine", dy.dtype, grid, block, dy, x, scale, shift, a, b, dx, n * h, w * c, c, relu)
    return dx, dgamma, dbeta


def _parts(x: Array) -> tuple[int, Array]:
    """Return how many pixels make a chunk, and memory for two sums a chunk and channel: (chunks, 2, c) float64."""
    pixels, c = prod(x.shape[:3]), x.shape[3]
    groups = -(-c // 32)
    chunk = min(LARGEST_CHUNK, max(64, -(-pixels * groups // BLOCKS)), max(1, pixels))
    chunk = max(chunk, -(-pixels // 65535))  # the second axis of a grid has no more blocks
    return chunk, empty(x, (-(-pixels // chunk), 2, c), np.float64)


def _grids(parts: Array) -> tuple[Sizes, Sizes, Sizes]:
    """Return the grids of the two stages and the block of both: up to 32 channels wide."""
    chunks, _, c = parts.shape
    across = min(32, 1 << (c - 1).bit_length())
    groups = -(-c // across)
    return (groups, chunks), (groups,), (across, THREADS // across)
