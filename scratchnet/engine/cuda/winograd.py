"""Winograd's F(4×4, 3×3) on a GPU: transforms by kernels (see ``winograd.cu``), 36 products in one call of cuBLAS.

It needs a quarter of the multiplications, at the price of writing and reading each map 2¼ times as large. That pays for
products in full float32; the tensor cores' products are so quick that it does not.
"""

from math import ceil, prod

from scratchnet.arrays import Array
from scratchnet.engine.cuda.compiled import THREADS, Sizes, bias_or, contiguous, in_turns, launch, rows_and_numbers
from scratchnet.engine.cuda.gemm import Matrices, add_parts, cut_rows, multiply
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.geometry import ConvSpec, Pair

FILE = "winograd"

WORKSPACE = 1 << 30
"""Bytes of transformed tiles that are held at one time; more images than fit are done in turns."""


def fits(conv: ConvSpec) -> bool:
    """Return whether a convolution is one of those that the transforms are made for."""
    plain = conv.stride == conv.dilation == (1, 1) and conv.groups == 1
    return conv.kernel == (3, 3) and plain


def convolve(x: Array, weight: Array, bias: Array | None, padding: Pair, output: Pair, flipped: bool = False) -> Array:
    """Return the convolution, ``(n, *output, c_out)``.

    With ``flipped`` the kernel is turned by 180° with its channel axes exchanged: the weight is (3, 3, c_out, c) then.
    """
    n, c = x.shape[0], x.shape[3]
    c_out = weight.shape[2 if flipped else 3]
    (x,) = contiguous(x)
    kernels = Matrices(_transform_kernel(weight, flipped), weight.shape[2], weight.shape[3], apart=c * c_out)
    y = pooled_empty(x, (n, *output, c_out))
    for images in _turns(n, output, c + c_out, x.itemsize):
        tiles = _transform_input(x[images], padding, output)
        count = tiles.shape[1]
        products = pooled_empty(x, (36, count, c_out))
        given = Matrices(tiles, count, c, apart=count * c)
        multiply(given, kernels, Matrices(products, count, c_out, apart=count * c_out), 36, turn_b=flipped)
        grid, block = rows_and_numbers(count, c_out)
        sizes = count, *_grid(output), *output, c_out, bias is not None
        arrays = products, bias_or(bias, products), y[images]
        launch(FILE, "transform_output", x.dtype, grid, block, *arrays, *sizes)
    return y


def weight_gradient(dy: Array, x: Array, padding: Pair) -> Array:
    """Return dW (3, 3, c, c_out).

    A sum over tiles, which is cut into equal parts, with tiles of zeros at the end, that join the batch of the 36.
    """
    n, c, c_out, output = x.shape[0], x.shape[3], dy.shape[3], dy.shape[1:3]
    x, dy = contiguous(x, dy)
    total = None
    for images in _turns(n, output, c + c_out, x.itemsize):
        count = _count(x[images], output)
        parts, size = cut_rows(count, c, c_out, 36)
        tiles = _transform_input(x[images], padding, output, parts * size)
        slopes = _transform_gradient(dy[images], parts * size)
        sums = pooled_empty(x, (36, parts, c, c_out))
        left, right = (Matrices(a, size, a.shape[2], apart=size * a.shape[2]) for a in (tiles, slopes))
        multiply(left, right, Matrices(sums, c, c_out, apart=c * c_out), 36 * parts, turn_a=True)
        term = add_parts(sums, 1)
        total = term if total is None else total + term
    dweight = pooled_empty(x, (3, 3, c, c_out))
    launch(FILE, "transform_kernel_gradient", x.dtype, _pairs(c * c_out), (THREADS,), total, dweight, c * c_out)
    return dweight


def _grid(output: Pair) -> Pair:
    """Return how many tiles an image has, down and across."""
    return ceil(output[0] / 4), ceil(output[1] / 4)


def _count(x: Array, output: Pair) -> int:
    """Return how many tiles all images have."""
    return len(x) * prod(_grid(output))


def _turns(n: int, output: Pair, channels: int, itemsize: int) -> list[slice]:
    """Cut a batch so that the tiles of so many channels fit into the workspace."""
    return in_turns(n, 36 * prod(_grid(output)) * channels * itemsize, WORKSPACE)


def _pairs(count: int) -> Sizes:
    """Return the grid with a thread for every pair of channels."""
    return (-(-count // THREADS),)


def _transform_input(x: Array, padding: Pair, output: Pair, count: int | None = None) -> Array:
    """Return the transformed tiles (36, count, c)."""
    n, h, w, c = x.shape
    count = count or _count(x, output)
    tiles = pooled_empty(x, (36, count, c))
    grid, block = rows_and_numbers(count, c)
    sizes = count, *_grid(output), n, h, w, c, *padding
    launch(FILE, "transform_input", x.dtype, grid, block, x, tiles, *sizes)
    return tiles


def _transform_gradient(dy: Array, count: int) -> Array:
    """Return the transformed tiles of the gradient (36, count, c_out)."""
    n, h, w, c = dy.shape
    tiles = pooled_empty(dy, (36, count, c))
    grid, block = rows_and_numbers(count, c)
    launch(FILE, "transform_gradient", dy.dtype, grid, block, dy, tiles, count, *_grid((h, w)), n, h, w, c)
    return tiles


def _transform_kernel(weight: Array, flipped: bool) -> Array:
    """Return the transformed kernels (36, *weight.shape[2:])."""
    (weight,) = contiguous(weight)
    kernels = pooled_empty(weight, (36, *weight.shape[2:]))
    pairs = weight.shape[2] * weight.shape[3]
    launch(FILE, "transform_kernel", weight.dtype, _pairs(pairs), (THREADS,), weight, kernels, pairs, flipped)
    return kernels
