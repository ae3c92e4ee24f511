"""Winograd's 3×3 convolution: fewer multiplications by way of a transform.

Cut the output into tiles of m × m pixels. A tile sees m + 2 pixels in each direction. Transform that patch d and the
kernel g by small constant matrices, multiply *number by number* instead of sliding, and transform back:

    Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A

For m = 4 that is 36 multiplications where the sliding sum needs 144. Over all tiles and channels the products in the
middle are (m + 2)² matrix products of (tiles × c_in) · (c_in × c_out), and that is where the time goes.

Gradients are the same three steps in another order: that by the input is the convolution of dY with the turned kernel;
that by the kernel transforms X as above and dY by A, and brings the products back with G:

    dg = Gᵀ [ (Bᵀ d B) ⊙ (A dY Aᵀ) ] G           summed over all tiles

What makes it quick in NumPy: the pixels are first sorted by their column inside the tile, so that both transforms are
products of a 6×6 matrix with *long* rows instead of one tiny product a tile; a block of tiles is small enough for all
its steps to stay in a core's cache; and where the kernels are larger than the cache, the cores share the 36 products
and not the tiles, so that each kernel number is read once.

F(4×4) adds rounding errors of about 1e-5 of the largest output in float32, F(2×2) as little as the direct sum.

References
----------
Winograd, "Arithmetic complexity of computations" (1980). Lavin and Gray, "Fast algorithms for convolutional neural
networks" (2016), sections 4.1 to 4.3; the matrices are theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil

import numpy as np

from scratchnet.arrays import Array, namespace
from scratchnet.ops.geometry import Block, Pair, blocks, tap
from scratchnet.recycling import empty
from scratchnet.threads import share_out, thread_count

SCRATCH_BYTES = 2 << 20
"""Size of the transformed tiles that are held at one time; about what a core's cache holds."""

WIDE = 128 * 256
"""Products of input and output channels from which on the kernels do not fit the cache."""

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


def conv3x3(x: Array, weight: Array, bias: Array | None, padding: Pair, tile: int, turned: bool = False) -> Array:
    """Convolve ``x`` (n, h, w, c_in) with ``weight`` (3, 3, c_in, c_out) at stride 1.

    Parameters
    ----------
    padding : (vertical, horizontal)
    tile : 2 or 4
        m; the sizes need not be multiples of it.
    turned : bool
        Use the kernel turned by 180° with its channel axes exchanged: the weight is (3, 3, c_out, c_in) then.

    Returns
    -------
    (n, h + 2·padding − 2, w + 2·padding − 2, c_out)
    """
    n, h, w, c = x.shape
    c_out = weight.shape[2 if turned else 3]
    y = empty(x, (n, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2, c_out))
    constants = _matrices(tile, x)
    cut = _blocks(y.shape, c, constants)
    operations = y.size * 9 * c

    if not _is_wide(c, c_out):
        kernels = _transform_kernel(weight, constants, ALL, turned)
        share_out(lambda share: _convolve(x, kernels, bias, y, share, padding, constants, ALL), cut, operations)
        return y

    def convolve(share: Sequence[slice]) -> list[Array]:
        sums = []
        for part in share:
            sums.append(y if part.start == 0 else empty(y, y.shape))
            kernels = _transform_kernel(weight, constants, part, turned)
            _convolve(x, kernels, bias if part.start == 0 else None, sums[-1], cut, padding, constants, part)
        return sums

    first, *others = (part for sums in share_out(convolve, _parts(constants), operations) for part in sums)
    for other in others:
        first += other
    return first


def conv3x3_weight_gradient(dy: Array, x: Array, padding: Pair, tile: int) -> Array:
    """Return the gradient by the weight (3, 3, c_in, c_out) for :func:`conv3x3`."""
    c, c_out = x.shape[3], dy.shape[3]
    constants = _matrices(tile, x)
    cut = _blocks(dy.shape, c, constants)
    operations = dy.size * 9 * c

    if _is_wide(c, c_out):  # every part of the frequencies is a sum over all blocks
        found = share_out(
            lambda share: [_correlate(dy, x, cut, padding, constants, part) for part in share],
            _parts(constants),
            operations,
        )
        dweight, *others = (part for sums in found for part in sums)
    else:
        dweight, *others = share_out(lambda share: _correlate(dy, x, share, padding, constants, ALL), cut, operations)
    for other in others:
        dweight += other
    return dweight.reshape(3, 3, c, c_out)


def _convolve(
    x: Array,
    kernels: Array,
    bias: Array | None,
    y: Array,
    cut: Sequence[Block],
    padding: Pair,
    constants: Matrices,
    part: slice,
) -> None:
    """Write the convolution to the blocks ``cut`` of ``y``, or what the frequencies of ``part`` add to it."""
    for block in cut:
        tiles = _transform_input(x, block, padding, constants, part)
        products = empty(x, (*tiles.shape[:2], y.shape[3]))
        namespace(x).matmul(tiles, kernels, out=products)
        _transform_output(products, y, block, bias, constants, part)


def _correlate(dy: Array, x: Array, cut: Sequence[Block], padding: Pair, constants: Matrices, part: slice) -> Array:
    """Return what the blocks ``cut`` and the frequencies of ``part`` add to the weight gradient: (9, c_in·c_out)."""
    xp = namespace(x)
    frequencies = constants.patch * len(range(constants.patch)[part])
    total = empty(x, (frequencies, x.shape[3], dy.shape[3]))
    for i, block in enumerate(cut):
        tiles = _transform_input(x, block, padding, constants, part)
        slopes = _transform_gradient(dy, block, constants, part)
        products = empty(x, total.shape) if i else total
        xp.matmul(tiles.swapaxes(1, 2), slopes, out=products)
        if i:
            total += products
    rows = _kernel_rows(constants, x, part)
    dweight = empty(x, (9, total[0].size))
    xp.matmul(rows.T, total.reshape(frequencies, -1), out=dweight)
    return dweight


def _is_wide(c: int, c_out: int) -> bool:
    """Return whether the cores share the products, and not the tiles."""
    return c * c_out >= WIDE


def _parts(constants: Matrices) -> list[slice]:
    """Cut the horizontal frequencies into a part a core."""
    a = constants.patch
    cores = min(thread_count(), a)
    return [slice(k * a // cores, (k + 1) * a // cores) for k in range(cores)]


def _blocks(shape: tuple[int, ...], c: int, constants: Matrices) -> list[Block]:
    """Cut the tiles of an output of ``shape`` into blocks: many small ones, or, in wide layers, few large ones."""
    n, oh, ow, c_out = shape
    grid = (n, ceil(oh / constants.tile), ceil(ow / constants.tile))
    tile_bytes = constants.patch**2 * (c + c_out) * 4
    if _is_wide(c, c_out):
        return blocks(*grid, max(256, 16 * SCRATCH_BYTES // tile_bytes))
    return blocks(*grid, max(min(c + c_out, 256), SCRATCH_BYTES // tile_bytes), 2 * thread_count())


@cache
def _in_dtype(tile: int, dtype: str) -> Matrices:
    """Return the constants of F(tile×tile, 3×3) as ``dtype``."""
    chosen = {2: _F2, 4: _F4}[tile]
    return Matrices(*(np.ascontiguousarray(m, dtype) for m in (chosen.input, chosen.kernel, chosen.output)))


def _matrices(tile: int, like: Array) -> Matrices:
    """Return the constants on the device and in the dtype of ``like``."""
    xp, chosen = namespace(like), _in_dtype(tile, like.dtype.str)
    return Matrices(xp.asarray(chosen.input), xp.asarray(chosen.kernel), xp.asarray(chosen.output))


def _kernel_rows(constants: Matrices, like: Array, part: slice) -> Array:
    """Return the matrix that takes a 3×3 kernel, as a vector of 9, to its transformed numbers: (frequencies, 9).

    Frequencies are ordered (horizontal, vertical), as in the transformed tiles; ``part`` chooses horizontal ones.
    """
    g = constants.kernel
    both: Array = namespace(like).einsum("vi,hj->hvij", g, g[part])
    return both.reshape(-1, 9)


def _transform_kernel(weight: Array, constants: Matrices, part: slice, turned: bool) -> Array:
    """G g Gᵀ for every pair of channels: (frequencies, c_in, c_out)."""
    rows = _kernel_rows(constants, weight, part)
    if turned:
        rows = namespace(weight).ascontiguousarray(rows[:, ::-1])  # the nine taps in reverse order
    kernels = empty(weight, (len(rows), *weight.shape[2:]))
    namespace(weight).matmul(rows, weight.reshape(9, -1), out=kernels.reshape(len(rows), -1))
    return kernels.swapaxes(1, 2) if turned else kernels


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
        column[:, :, across.out] = x[block.n0 : block.n1, down.source, across.source]
        column[:, :, : across.out.start] = 0
        column[:, :, across.out.stop :] = 0
    sorted_[:, : down.out.start] = 0
    sorted_[:, down.out.stop :] = 0
    return sorted_


def _transform_input(x: Array, block: Block, padding: Pair, constants: Matrices, part: slice) -> Array:
    """Bᵀ d B for every tile of the block: (frequencies, tiles, c), the horizontal frequencies of ``part``."""
    m, a = constants.tile, constants.patch
    top, left = m * block.r0 - padding[0], m * block.c0 - padding[1]
    d = _by_column(x, block, top, left, m * (block.r1 - block.r0) + 2, a, m)
    return _transform(d, block, constants.input, constants.input[part], m)


def _transform_gradient(dy: Array, block: Block, constants: Matrices, part: slice) -> Array:
    """A dY Aᵀ for every tile of the block: (frequencies, tiles, c_out)."""
    m = constants.tile
    d = _by_column(dy, block, m * block.r0, m * block.c0, m * (block.r1 - block.r0), m, m)
    return _transform(d, block, constants.output.T, constants.output.T[part], m)


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


def _transform_output(
    products: Array, y: Array, block: Block, bias: Array | None, constants: Matrices, part: slice
) -> None:
    """Aᵀ [products] A for every tile, and the bias, written to where the block lies in ``y``."""
    xp = namespace(y)
    m, a, c = constants.tile, constants.patch, y.shape[3]
    n, rows, tiles = block.n1 - block.n0, block.r1 - block.r0, block.c1 - block.c0
    across = constants.output[:, part]
    products = products.reshape(-1, a, n, rows, tiles * c)
    half = empty(y, (n, rows, m, across.shape[1], tiles * c))
    xp.matmul(constants.output, products.transpose(2, 3, 0, 1, 4), out=half.transpose(0, 1, 3, 2, 4))
    full = empty(y, (n, rows, m, m, tiles * c))
    xp.matmul(xp.ascontiguousarray(across), half, out=full)
    by_column = full.reshape(n, rows * m, m, tiles, c)
    target = y[block.n0 : block.n1, m * block.r0 : m * block.r1, m * block.c0 : m * block.c1]
    for j in range(m):
        pixels = target[:, :, j::m]
        source = by_column[:, : pixels.shape[1], j, : pixels.shape[2]]
        if bias is None:
            pixels[...] = source
        else:
            xp.add(source, bias, out=pixels)
