"""Winograd's F(4×4, 3×3) on a GPU: transforms by kernels (see ``winograd.cu``), 36 products in one call of cuBLAS.

It needs a quarter of the multiplications, but writes and reads each map at 2¼ times its size. This pays for products in
full float32, but not for those of the tensor cores, which are much faster.
"""

from math import ceil, prod

from scratchnet.arrays import Array
from scratchnet.engine.cuda.compiled import (
    THREADS,
    Sizes,
    bias_or_placeholder,
    contiguous,
    launch,
    row_launch,
    split_batch,
)
from scratchnet.engine.cuda.gemm import Matrices, multiply, split_rows, sum_parts
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.geometry import ConvSpec, Pair

FILE = "winograd"

WORKSPACE_BYTES = 1 << 30
"""Maximum bytes of transformed tiles in memory at a time; larger batches are processed in parts."""


def fits(conv: ConvSpec) -> bool:
    """Return whether the transforms support this convolution."""
    plain = conv.stride == conv.dilation == (1, 1) and conv.groups == 1
    return conv.kernel == (3, 3) and plain


def convolve(x: Array, weight: Array, bias: Array | None, padding: Pair, output: Pair, flipped: bool = False) -> Array:
    """Return the convolution, ``(n, *output, c_out)``.

    With ``flipped`` the kernel is rotated by 180° and its channel axes are swapped: the weight is (3, 3, c_out, c).
    """
    n, c = x.shape[0], x.shape[3]
    c_out = weight.shape[2 if flipped else 3]
    (x,) = contiguous(x)
    kernels = Matrices(_transform_kernel(weight, flipped), weight.shape[2], weight.shape[3], batch_stride=c * c_out)
    y = pooled_empty(x, (n, *output, c_out))
    for images in _split_batch(n, output, c + c_out, x.itemsize):
        tiles = _transform_input(x[images], padding, output)
        count = tiles.shape[1]
        products = pooled_empty(x, (36, count, c_out))
        given = Matrices(tiles, count, c, batch_stride=count * c)
        multiply(given, kernels, Matrices(products, count, c_out, batch_stride=count * c_out), 36, transpose_b=flipped)
        grid, block = row_launch(count, c_out)
        sizes = count, *_tile_grid(output), *output, c_out, bias is not None
        arrays = products, bias_or_placeholder(bias, products), y[images]
        launch(FILE, "transform_output", x.dtype, grid, block, *arrays, *sizes)
    return y


def weight_gradient(dy: Array, x: Array, padding: Pair) -> Array:
    """Return dW (3, 3, c, c_out).

    The sum over tiles is split into equal parts, padded with tiles of zeros, which extend the batch of 36 products.
    """
    n, c, c_out, output = x.shape[0], x.shape[3], dy.shape[3], dy.shape[1:3]
    x, dy = contiguous(x, dy)
    total = None
    for images in _split_batch(n, output, c + c_out, x.itemsize):
        count = _count(x[images], output)
        parts, size = split_rows(count, c, c_out, 36)
        tiles = _transform_input(x[images], padding, output, parts * size)
        gradients = _transform_gradient(dy[images], parts * size)
        sums = pooled_empty(x, (36, parts, c, c_out))
        left, right = (Matrices(a, size, a.shape[2], batch_stride=size * a.shape[2]) for a in (tiles, gradients))
        multiply(left, right, Matrices(sums, c, c_out, batch_stride=c * c_out), 36 * parts, transpose_a=True)
        term = sum_parts(sums, 1)
        total = term if total is None else total + term
    dweight = pooled_empty(x, (3, 3, c, c_out))
    launch(FILE, "transform_kernel_gradient", x.dtype, _pairs(c * c_out), (THREADS,), total, dweight, c * c_out)
    return dweight


def _tile_grid(output: Pair) -> Pair:
    """Return the number of tiles of an image, vertically and horizontally."""
    return ceil(output[0] / 4), ceil(output[1] / 4)


def _count(x: Array, output: Pair) -> int:
    """Return the number of tiles of all images."""
    return len(x) * prod(_tile_grid(output))


def _split_batch(n: int, output: Pair, channels: int, itemsize: int) -> list[slice]:
    """Split a batch so that the tiles of ``channels`` channels fit into the workspace."""
    return split_batch(n, 36 * prod(_tile_grid(output)) * channels * itemsize, WORKSPACE_BYTES)


def _pairs(count: int) -> Sizes:
    """Return the grid with one thread for every pair of channels."""
    return (-(-count // THREADS),)


def _transform_input(x: Array, padding: Pair, output: Pair, count: int | None = None) -> Array:
    """Return the transformed tiles (36, count, c)."""
    n, h, w, c = x.shape
    count = count or _count(x, output)
    tiles = pooled_empty(x, (36, count, c))
    grid, block = row_launch(count, c)
    sizes = count, *_tile_grid(output), n, h, w, c, *padding
    launch(FILE, "transform_input", x.dtype, grid, block, x, tiles, *sizes)
    return tiles


def _transform_gradient(dy: Array, count: int) -> Array:
    """Return the transformed tiles of the gradient (36, count, c_out)."""
    n, h, w, c = dy.shape
    tiles = pooled_empty(dy, (36, count, c))
    grid, block = row_launch(count, c)
    launch(FILE, "transform_gradient", dy.dtype, grid, block, dy, tiles, count, *_tile_grid((h, w)), n, h, w, c)
    return tiles


def _transform_kernel(weight: Array, flipped: bool) -> Array:
    """Return the transformed kernels ``(36, *weight.shape[2:])``."""
    (weight,) = contiguous(weight)
    kernels = pooled_empty(weight, (36, *weight.shape[2:]))
    pairs = weight.shape[2] * weight.shape[3]
    launch(FILE, "transform_kernel", weight.dtype, _pairs(pairs), (THREADS,), weight, kernels, pairs, flipped)
    return kernels
