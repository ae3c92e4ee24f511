"""Transform the tiles of a map and transform them back: the change of basis of Winograd's convolution.

Every function works on one block of tiles (``winograd`` uses them). Two measures make it fast in NumPy. The pixels are
first sorted by their column inside the tile, so that the transforms are products of a 6×6 matrix with *long* rows
instead of one tiny product per tile. Pixels are copied as one element of c values, because NumPy would otherwise
restart its inner loop at each pixel.

Reference: Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016), sections 4.1 to 4.3; the matrices
are theirs.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.blocks import Block
from scratchnet.engine.cpu.threads import parallel_for, thread_count
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.memory_layout import copy_pixels, row_of
from scratchnet.ops.geometry import Pair, tap

ALL = slice(None)

TOGETHER = 16
"""Small products that are one call, at most."""

SMALL = 900_000
"""Multiply-adds up to which a BLAS multiplies matrices without a copy. It copies larger ones, which takes as long as
the product itself if one of them has as few rows as a change of basis."""

EXCHANGED = 1 << 15
"""Numbers of a kernel's matrix up to which its channel axes are exchanged by a copy. A BLAS needs longer for a
small product with a transposed matrix; for a large one it makes that copy itself."""


@dataclass(frozen=True)
class Matrices:
    """The constants of F(m×m, 3×3): ``input`` is Bᵀ, ``kernel`` G, ``output`` Aᵀ."""

    input: Array
    kernel: Array
    output: Array

    @property
    def tile(self) -> int:
        """The m of F(m×m, 3×3): rows of output pixels in a tile."""
        return len(self.output)

    @property
    def patch(self) -> int:
        """Rows of input pixels that a tile depends on, m + 2."""
        return len(self.input)


_F2 = Matrices(
    np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], float),
    np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], float) / 2,
    np.array([[1, 1, 1, 0], [0, 1, -1, -1]], float),
)
_F4 = Matrices(
    np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ],
        float,
    ),
    np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], float) / 24,
    np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], float),
)


@cache
def _in_dtype(tile: int, dtype: str) -> Matrices:
    """Return the constants of F(tile×tile, 3×3) as ``dtype``."""
    chosen = {2: _F2, 4: _F4}[tile]
    return Matrices(*(np.ascontiguousarray(m, dtype) for m in (chosen.input, chosen.kernel, chosen.output)))


def matrices(tile: int, like: Array) -> Matrices:
    """Return the constants of F(tile×tile, 3×3), in the dtype of ``like``."""
    return _in_dtype(tile, like.dtype.str)


def transform_kernel(weight: Array, constants: Matrices, part: slice, flipped: bool) -> Array:
    """Return G g Gᵀ for every pair of channels: (frequencies, c_in, c_out).

    Frequencies are ordered (horizontal, vertical), here and below; ``part`` selects some of them. For ``flipped`` see
    :func:`~scratchnet.engine.cpu.winograd.conv3x3`.
    """
    rows = _kernel_rows(constants, part, flipped)
    exchange = flipped and weight[0, 0].size <= EXCHANGED
    if exchange:
        exchanged = pooled_empty(weight, (3, 3, weight.shape[3], weight.shape[2]))
        exchanged[...] = weight.swapaxes(2, 3)
        weight = exchanged
    kernels = pooled_empty(weight, (len(rows), *weight.shape[2:]))
    _multiply(rows, weight.reshape(9, -1), kernels.reshape(len(rows), -1))
    return kernels.swapaxes(1, 2) if flipped and not exchange else kernels


def kernel_gradient(total: Array, constants: Matrices, flipped: bool) -> Array:
    """Transform the sums ``total`` (frequencies, …) over all tiles back to the kernel's gradient (3, 3, …)."""
    rows = _kernel_rows(constants, ALL, flipped)
    dweight = pooled_empty(total, (9, total[0].size))
    _multiply(rows.T, total.reshape(len(rows), -1), dweight)
    return dweight.reshape(3, 3, *total.shape[1:])


def _multiply(matrix: Array, long: Array, out: Array) -> None:
    """Write ``matrix`` · ``long``, a few rows by very many columns, in small products and on all cores."""
    count = long.shape[1]
    step = min(count, max(1, SMALL // matrix.size))
    whole = count - count % step

    def multiply(columns: slice) -> None:  # one call for several products
        width = min(step, columns.stop - columns.start)
        a, b = (x[:, columns].reshape(len(x), -1, width).swapaxes(0, 1) for x in (long, out))
        np.matmul(matrix, a, out=b)

    together = step * max(1, min(TOGETHER, whole // step // (2 * thread_count())))
    pieces = [slice(begin, min(begin + together, whole)) for begin in range(0, whole, together)]
    parallel_for(multiply, pieces + [slice(whole, count)] * (whole < count), matrix.size * count)


def _kernel_rows(constants: Matrices, part: slice, flipped: bool) -> Array:
    """Return the matrix that transforms a 3×3 kernel, written as a vector of 9: (frequencies, 9)."""
    g = constants.kernel
    both: Array = np.einsum("vi,hj->hvij", g, g).reshape(-1, 9)[part]
    return np.ascontiguousarray(both[:, ::-1]) if flipped else both  # the nine taps in reverse order


def transform_patches(x: Array, block: Block, padding: Pair, constants: Matrices, out: Array) -> None:
    """Write Bᵀ d B, for the patch of every tile of the block, to ``out`` (frequencies, tiles, c)."""
    m, a = constants.tile, constants.patch
    top, left = m * block.r0 - padding[0], m * block.c0 - padding[1]
    d = _by_column(x, block, top, left, m * (block.r1 - block.r0) + 2, a, m)
    _transform(d, block, constants.input, m, out)


def transform_tiles(dy: Array, block: Block, constants: Matrices, out: Array) -> None:
    """Write A dY Aᵀ, for every tile of the block, to ``out`` (frequencies, tiles, c_out)."""
    m = constants.tile
    d = _by_column(dy, block, m * block.r0, m * block.c0, m * (block.r1 - block.r0), m, m)
    _transform(d, block, constants.output.T, m, out)


def transform_back(products: Array, y: Array, block: Block, bias: Array | None, constants: Matrices) -> None:
    """Write Aᵀ [products] A for every tile, and the bias, to the block in ``y``; ``products`` may change."""
    m, a, c = constants.tile, constants.patch, y.shape[3]
    n, rows, tiles = block.n1 - block.n0, block.r1 - block.r0, block.c1 - block.c0
    products = products.reshape(a, a, n, rows, tiles * c)
    if bias is not None:  # the columns of Aᵀ for the point 1 are ones: one number of a tile reaches all of its pixels
        np.add(products[1, 1], row_of(bias, tiles), out=products[1, 1])
    half = pooled_empty(y, (n, rows, m, a, tiles * c))
    np.matmul(constants.output, products.transpose(2, 3, 0, 1, 4), out=half.transpose(0, 1, 3, 2, 4))
    full = pooled_empty(y, (n, rows, m, m, tiles * c))
    np.matmul(constants.output, half, out=full)
    by_column = full.reshape(n, rows * m, m, tiles, c)
    target = y[block.n0 : block.n1, m * block.r0 : m * block.r1, m * block.c0 : m * block.c1]
    by_column = by_column[:, : target.shape[1]]
    whole = target.shape[2] // m
    copy_pixels(by_column[:, :, :, :whole], _cut(target, whole, m))
    for j in range(target.shape[2] - whole * m):  # the last tile extends past the edge
        copy_pixels(by_column[:, :, j, whole:], target[:, :, whole * m + j :][:, :, :1])


def _transform(d: Array, block: Block, matrix: Array, step: int, out: Array) -> None:
    """Write ``matrix`` · patch · ``matrix``ᵀ for the patches that lie ``step`` rows apart: (frequencies, tiles, c)."""
    n, _, columns, tiles, c = d.shape
    rows, a = block.r1 - block.r0, len(matrix)
    line = d.strides[1]
    windows = np.lib.stride_tricks.as_strided(  # rows of tiles; the patches of neighbours overlap
        d, (n, rows, columns, columns * tiles * c), (d.strides[0], step * line, line, d.itemsize)
    )
    half = pooled_empty(d, (a, n, rows, columns, tiles * c))
    np.matmul(matrix, windows, out=half.reshape(a, n, rows, -1).transpose(1, 2, 0, 3))
    np.matmul(matrix, half, out=out.reshape(a, a, n, rows, tiles * c).transpose(1, 2, 3, 0, 4))


def _by_column(x: Array, block: Block, top: int, left: int, rows: int, columns: int, step: int) -> Array:
    """Sort the pixels of a block by their column inside the tile: (images, rows, columns, tiles, c).

    Entry (i, j, t) is pixel (top + i, left + t·step + j) of ``x``, 0 outside the map. The columns that only one tile
    reads are copied from ``x`` at once; the others are already in the previous or the next tile.
    """
    tiles = block.c1 - block.c0
    sorted_ = pooled_empty(x, (block.n1 - block.n0, rows, columns, tiles, x.shape[3]))
    down = tap(0, x.shape[1], rows, 1, -top)
    source, target = x[block.n0 : block.n1, down.source], sorted_[:, down.out]

    def fetch(j: int, first: int, last: int) -> None:
        across = tap(j, x.shape[2], last - first, step, -left, first)
        column = target[:, :, j, first:last]
        copy_pixels(source[:, :, across.source], column[:, :, across.out])
        column[:, :, : across.out.start] = 0
        column[:, :, across.out.stop :] = 0

    own = max(0, -left)  # the first of the columns that a tile has to itself
    whole = min(tiles, (x.shape[2] - left - own) // step)
    copy_pixels(_cut(source[:, :, left + own :], whole, step), target[:, :, own : own + step, :whole])
    for j in range(own, own + step):
        fetch(j, whole, tiles)
    for j in range(own):
        target[:, :, j, 1:] = target[:, :, j + step, :-1]
        fetch(j, 0, 1)
    for j in range(own + step, columns):
        target[:, :, j, :-1] = target[:, :, j - step, 1:]
        fetch(j, tiles - 1, tiles)
    sorted_[:, : down.out.start] = 0
    sorted_[:, down.out.stop :] = 0
    return sorted_


def _cut(x: Array, count: int, step: int) -> Array:
    """View the first ``count · step`` columns as (n, rows, column inside the tile, tile, c)."""
    n, rows, _, c = x.shape
    return x[:, :, : count * step].reshape(n, rows, count, step, c).swapaxes(2, 3)
