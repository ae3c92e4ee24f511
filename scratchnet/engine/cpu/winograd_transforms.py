"""Transform the tiles of a map and transform them back: the change of basis of Winograd's convolution.

Every function works on one block of tiles (``winograd`` uses them). Two measures make it fast in NumPy. The pixels are
first sorted by their column inside the tile, so that the transforms are products of a small matrix with *long* rows
instead of one tiny product per tile. Pixels are copied as one element of c values, because NumPy would otherwise
restart its inner loop at each pixel.

Reference: Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016), sections 4.1 to 4.3.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.blocks import Block
from scratchnet.engine.cpu.epilogue import BlockEpilogue
from scratchnet.engine.cpu.winograd_outputs import Output, cut_columns
from scratchnet.engine.cpu.winograd_points import Matrices
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.memory_layout import copy_pixels, row_of
from scratchnet.ops.geometry import Pair, tap


def transform_patches(x: Array, block: Block, padding: Pair, constants: Matrices, out: Array) -> None:
    """Write Bᵀ d B, for the patch of every tile of the block, to ``out`` (frequencies, tiles, c).

    Frequencies are ordered (horizontal, vertical), here and below. The padding is at most a − m.
    """
    m, a = constants.tile, constants.patch
    top, left = m * block.r0 - padding[0], m * block.c0 - padding[1]
    d = _by_column(x, block, top, left, m * (block.r1 - block.r0) + a - m, a, m)
    _transform(d, block, constants.input, m, out)


def transform_tiles(dy: Array, block: Block, constants: Matrices, out: Array) -> None:
    """Write A dY Aᵀ, for every tile of the block, to ``out`` (frequencies, tiles, c_out)."""
    m = constants.tile
    d = _by_column(dy, block, m * block.r0, m * block.c0, m * (block.r1 - block.r0), m, m)
    _transform(d, block, constants.output.T, m, out)


def transform_back(
    products: Array, y: Output, block: Block, bias: Array | None, constants: Matrices, finish: BlockEpilogue | None
) -> None:
    """Write Aᵀ [products] A for every tile, and the bias, to the block in ``y``; ``products`` may change.

    ``finish`` changes the result before it is written.
    """
    m, a, c = constants.tile, constants.patch, y.shape[3]
    n, rows, tiles = block.n1 - block.n0, block.r1 - block.r0, block.c1 - block.c0
    products = products.reshape(a, a, n, rows, tiles * c)
    if bias is not None:  # the columns of Aᵀ for the point 1 are ones: one number of a tile reaches all of its pixels
        np.add(products[1, 1], row_of(bias, tiles), out=products[1, 1])
    half = pooled_empty(products, (n, rows, m, a, tiles * c))
    np.matmul(constants.output, products.transpose(2, 3, 0, 1, 4), out=half.transpose(0, 1, 3, 2, 4))
    full = pooled_empty(products, (n, rows, m, m, tiles * c))
    np.matmul(constants.output, half, out=full)
    if finish is not None:
        finish.apply(full)
    y.write(full.reshape(n, rows * m, m, tiles, c), block)


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
    copy_pixels(cut_columns(source[:, :, left + own :], whole, step), target[:, :, own : own + step, :whole])
    for j in range(own, own + step):
        fetch(j, whole, tiles)
    for j in reversed(range(own)):
        target[:, :, j, 1:] = target[:, :, j + step, :-1]
        fetch(j, 0, 1)
    for j in range(own + step, columns):
        target[:, :, j, :-1] = target[:, :, j - step, 1:]
        fetch(j, tiles - 1, tiles)
    sorted_[:, : down.out.start] = 0
    sorted_[:, down.out.stop :] = 0
    return sorted_
