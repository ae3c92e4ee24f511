"""Tiles of a map, transformed and back: the change of basis of Winograd's convolution.

Everything here works on one block of tiles (see ``winograd`` for what is done with them). What makes it quick in NumPy:
the pixels are first sorted by their column inside the tile, so that the transforms are products of a 6×6 matrix with
*long* rows instead of one tiny product a tile; and pixels are copied whole, as one element of c numbers, where NumPy
would begin a new run of numbers at each.

Reference: Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016), sections 4.1 to 4.3; the matrices
are theirs.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from scratchnet.arrays import Array, namespace
from scratchnet.ops.geometry import Block, Pair, tap
from scratchnet.recycling import empty

ALL = slice(None)


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
        """Rows of input pixels that a tile sees, m + 2."""
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
    """Return the constants of F(tile×tile, 3×3), on the device and in the dtype of ``like``."""
    xp, chosen = namespace(like), _in_dtype(tile, like.dtype.str)
    return Matrices(xp.asarray(chosen.input), xp.asarray(chosen.kernel), xp.asarray(chosen.output))


def transform_kernel(weight: Array, constants: Matrices, part: slice, turned: bool) -> Array:
    """Return G g Gᵀ for every pair of channels: (frequencies, c_in, c_out).

    Frequencies are ordered (horizontal, vertical), here and below; ``part`` chooses horizontal ones. ``turned`` is told
    in :func:`~scratchnet.ops.winograd.conv3x3`.
    """
    rows = _kernel_rows(constants, weight, part, turned)
    kernels = empty(weight, (len(rows), *weight.shape[2:]))
    namespace(weight).matmul(rows, weight.reshape(9, -1), out=kernels.reshape(len(rows), -1))
    return kernels.swapaxes(1, 2) if turned else kernels


def kernel_gradient(total: Array, constants: Matrices, part: slice, turned: bool) -> Array:
    """Return what the sums ``total`` (frequencies, …) of ``part`` add to the weight gradient: (9, …)."""
    rows = _kernel_rows(constants, total, part, turned)
    dweight = empty(total, (9, total[0].size))
    namespace(total).matmul(rows.T, total.reshape(len(rows), -1), out=dweight)
    return dweight


def _kernel_rows(constants: Matrices, like: Array, part: slice, turned: bool) -> Array:
    """Return the matrix that takes a 3×3 kernel, as a vector of 9, to its transformed numbers: (frequencies, 9)."""
    xp, g = namespace(like), constants.kernel
    both: Array = xp.einsum("vi,hj->hvij", g, g[part]).reshape(-1, 9)
    return xp.ascontiguousarray(both[:, ::-1]) if turned else both  # the nine taps in reverse order


def transform_patches(x: Array, block: Block, padding: Pair, constants: Matrices, part: slice) -> Array:
    """Return Bᵀ d B for the patch that every tile of the block sees: (frequencies, tiles, c)."""
    m, a = constants.tile, constants.patch
    top, left = m * block.r0 - padding[0], m * block.c0 - padding[1]
    d = _by_column(x, block, top, left, m * (block.r1 - block.r0) + 2, a, m)
    return _transform(d, block, constants.input, constants.input[part], m)


def transform_tiles(dy: Array, block: Block, constants: Matrices, part: slice) -> Array:
    """Return A dY Aᵀ for every tile of the block: (frequencies, tiles, c_out)."""
    m = constants.tile
    d = _by_column(dy, block, m * block.r0, m * block.c0, m * (block.r1 - block.r0), m, m)
    return _transform(d, block, constants.output.T, constants.output.T[part], m)


def transform_back(
    products: Array, y: Array, block: Block, bias: Array | None, constants: Matrices, part: slice
) -> None:
    """Write Aᵀ [products] A for every tile, and the bias, to where the block lies in ``y``."""
    xp = namespace(y)
    m, a, c = constants.tile, constants.patch, y.shape[3]
    n, rows, tiles = block.n1 - block.n0, block.r1 - block.r0, block.c1 - block.c0
    across = constants.output[:, part]
    products = products.reshape(-1, a, n, rows, tiles * c)
    half = empty(y, (n, rows, m, across.shape[1], tiles * c))
    xp.matmul(constants.output, products.transpose(2, 3, 0, 1, 4), out=half.transpose(0, 1, 3, 2, 4))
    full = empty(y, (n, rows, m, m, tiles * c))
    xp.matmul(xp.ascontiguousarray(across), half, out=full)
    if bias is not None:
        xp.add(full, xp.tile(bias, tiles), out=full)
    by_column = full.reshape(n, rows * m, m, tiles, c)
    target = y[block.n0 : block.n1, m * block.r0 : m * block.r1, m * block.c0 : m * block.c1]
    for j in range(m):
        pixels = target[:, :, j::m]
        _copy_pixels(by_column[:, : pixels.shape[1], j, : pixels.shape[2]], pixels)


def _transform(d: Array, block: Block, vertical: Array, horizontal: Array, step: int) -> Array:
    """Multiply every patch by one matrix from the left and one from the right: (frequencies, tiles, c)."""
    xp = namespace(d)
    n, _, columns, tiles, c = d.shape
    rows, count = block.r1 - block.r0, vertical.shape[1]
    line = d.strides[1]
    windows = xp.lib.stride_tricks.as_strided(  # rows of tiles; the patches of neighbours overlap
        d, (n, rows, count, columns * tiles * c), (d.strides[0], step * line, line, d.itemsize)
    )
    half = empty(d, (len(vertical), n, rows, columns, tiles * c))
    xp.matmul(vertical, windows, out=half.reshape(len(vertical), n, rows, -1).transpose(1, 2, 0, 3))
    full = empty(d, (len(horizontal), len(vertical), n, rows, tiles * c))
    xp.matmul(horizontal, half, out=full.transpose(1, 2, 3, 0, 4))
    return full.reshape(len(horizontal) * len(vertical), n * rows * tiles, c)


def _by_column(x: Array, block: Block, top: int, left: int, rows: int, columns: int, step: int) -> Array:
    """Sort the pixels of a block by their column inside the tile: (images, rows, columns, tiles, c).

    Entry (i, j, t) is pixel (top + i, left + t·step + j) of ``x``, 0 where that lies outside.
    """
    tiles = block.c1 - block.c0
    sorted_ = empty(x, (block.n1 - block.n0, rows, columns, tiles, x.shape[3]))
    down = tap(0, x.shape[1], rows, 1, -top)
    for j in range(columns):
        across = tap(j, x.shape[2], tiles, step, -left)
        column = sorted_[:, down.out, j]
        _copy_pixels(x[block.n0 : block.n1, down.source, across.source], column[:, :, across.out])
        column[:, :, : across.out.start] = 0
        column[:, :, across.out.stop :] = 0
    sorted_[:, : down.out.start] = 0
    sorted_[:, down.out.stop :] = 0
    return sorted_


def _copy_pixels(source: Array, target: Array) -> None:
    """Copy pixels (…, c), each as one element of all its channels where they lie together."""
    if source.strides[-1] == target.strides[-1] == source.itemsize:
        pixel = np.dtype((np.void, source.shape[-1] * source.itemsize))
        source, target = source.view(pixel), target.view(pixel)
    target[...] = source
