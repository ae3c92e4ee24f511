"""Winograd's convolution: fewer multiplications by means of a transform.

    Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A

Cut the output into tiles Y of m × m pixels, each of which depends on a patch d of m + r − 1 pixels in each direction,
for a kernel of r × r. Transform the patch and the kernel g by small constant matrices (see ``winograd_points``),
multiply *elementwise* instead of sliding, and transform back.

For m = 4 and r = 3 that takes 36 multiplications instead of the 144 of the sliding sum. Over all tiles and channels,
the elementwise products become (m + r − 1)² matrix products of (tiles × c_in) · (c_in × c_out), which take most of the
time.

The gradients use the same three steps in a different order. The gradient with respect to the input is the convolution
of dY with the rotated kernel. The gradient with respect to the kernel transforms X as above and dY by A, and transforms
the products back with G:

    dg = Gᵀ [ (Bᵀ d B) ⊙ (A dY Aᵀ) ] G           summed over all tiles

The two factors may be exchanged: patches of dY with tiles of X give the rotated dg. So both gradients can use the same
transformed patches of dY, which :func:`backward` computes once.

A kernel larger than 5×5 is cut into pieces of 4×4, filled up with zeros. In F(4×4, 4×4) the pieces are as far apart as
the tiles, so the patch of a piece is the patch of a neighbouring tile: each patch is transformed once and serves all
pieces, whose products are one product with as many times the channels, transformed back once. For a 7×7 kernel that
takes 12.25 multiplications a pixel instead of 49.

``winograd_transforms`` explains how the transforms are made fast in NumPy. This module orders the work: a block of
tiles is small enough for all its steps to stay in a core's cache (:func:`_by_block`). If the kernels are larger than
the cache, the cores share the frequencies (and the columns of a kernel's gradient) instead of the tiles, so that each
kernel element is read once (:func:`_by_frequency`).

With 64 channels, F(4×4) has rounding errors of 2e-6 to 7e-6 of the largest output in float32, and F(2×2) and
F(3×3, 2×2) no more than the direct sum (``benchmarks/float32_errors.py``); they grow with the square root of the
channels. A patch of zeros gives exact zeros, or exactly the bias. A sum that is 0 for another reason, because its terms
cancel or because the patch of the tile is larger than the window, may become a rounding error of either sign.

References
----------
Winograd, "Arithmetic complexity of computations" (1980). Lavin and Gray, "Fast algorithms for convolutional neural
networks" (2016), sections 4.1 to 4.3.
"""

from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.blocks import Block
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.cpu.epilogue import BlockEpilogue
from scratchnet.engine.cpu.matmul import stacked_product
from scratchnet.engine.cpu.shape import pad2d
from scratchnet.engine.cpu.threads import parallel_for, parallel_map
from scratchnet.engine.cpu.winograd_kernels import ALL, taps_of
from scratchnet.engine.cpu.winograd_outputs import MapOutput, Output
from scratchnet.engine.cpu.winograd_points import Matrices, matrices
from scratchnet.engine.cpu.winograd_work import Work, count_tiles
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import Pair

SCRATCH_BYTES = 3 << 19
"""Size of the transformed tiles of a block; about what a core's cache holds."""

MIN_TILES = 128
"""Minimum number of tiles in a block of a layer with many channels, so that each kernel is used often enough."""

WIDE = 256 * 256
"""Products of input and output channels from which on the kernels do not fit the cache."""

WIDE_BYTES = 32 << 20
"""Size of the transformed tiles of a wide layer that are held at one time."""

COLUMNS = 64
"""Columns of a wide layer's kernel gradient that are computed at one time."""

MIN_ROWS = 256
"""Minimum number of tiles of a wide layer in memory at a time, for the same reason."""


def convolve(
    x: Array,
    weight: Array,
    bias: Array | None,
    padding: Pair,
    tile: int,
    flipped: bool = False,
    after: Epilogue | None = None,
) -> Array:
    """Convolve ``x`` (n, h, w, c_in) with ``weight`` (kh, kw, c_in, c_out) at stride 1.

    Parameters
    ----------
    padding : (vertical, horizontal)
    tile : 2 or 4
        m; the sizes need not be multiples of it. A kernel larger than 5×5 requires 4.
    flipped : bool
        Use the kernel rotated by 180° with its channel axes exchanged; the weight is then (kh, kw, c_out, c_in).
    after : Epilogue or None
        Scale, shift and ReLU of the output.

    Returns
    -------
    (n, h + 2·padding − kh + 1, w + 2·padding − kw + 1, c_out)
    """
    y = pooled_empty(x, (*output_size(x, weight.shape[:2], padding), weight.shape[2 if flipped else 3]))
    convolve_to(MapOutput(y), x, weight, bias, padding, tile, flipped, after)
    return y


def convolve_to(
    y: Output,
    x: Array,
    weight: Array,
    bias: Array | None,
    padding: Pair,
    tile: int,
    flipped: bool = False,
    after: Epilogue | None = None,
) -> None:
    """Write what :func:`convolve` returns to ``y``."""
    x, padding, constants = _prepare(x, weight.shape[:2], padding, tile)
    finish = None if after is None else BlockEpilogue(after, -(-y.shape[2] // tile))
    _run(Work(x, weight.shape[:2], padding, constants, weight, bias, flipped, finish, y=y))


def backward(
    dy: Array, x: Array, weight: Array, padding: Pair, tile: int, flipped: bool, out: Array | None = None
) -> tuple[Array, Array]:
    """Return both gradients of a layer whose gradient with respect to the input is a convolution of ``dy``.

    Parameters
    ----------
    dy : (n, oh, ow, c_out)
    x : (n, h, w, c_in)
        The layer's input.
    weight, padding, tile, flipped
        Arguments with ``dx = convolve(dy, weight, None, padding, tile, flipped)``: flipped for a convolution, whose
        padding is kh − 1 − ``padding``, and not flipped for a transposed convolution.
    out : as ``weight``, or None
        Array that a wide layer writes dweight to.

    Returns
    -------
    dx : as ``x``
    dweight : as ``weight``
    """
    dx = pooled_empty(dy, x.shape)
    dy, padding, constants = _prepare(dy, weight.shape[:2], padding, tile)
    (dweight,) = _run(
        Work(dy, weight.shape[:2], padding, constants, weight, None, flipped, y=MapOutput(dx), partner=x, out=out)
    )
    return dx, dweight


def weight_gradient(dy: Array, x: Array, padding: Pair, tile: int, out: Array | None = None) -> Array:
    """Return dweight (kh, kw, c_in, c_out) for :func:`convolve`; a wide layer writes it to ``out``."""
    kernel = x.shape[1] + 2 * padding[0] - dy.shape[1] + 1, x.shape[2] + 2 * padding[1] - dy.shape[2] + 1
    x, padding, constants = _prepare(x, kernel, padding, tile)
    (dweight,) = _run(Work(x, kernel, padding, constants, partner=dy, out=out))
    return dweight


def output_size(x: Array, kernel: Pair, padding: Pair) -> tuple[int, int, int]:
    """Return (n, oh, ow) of a convolution at stride 1."""
    n, h, w, _ = x.shape
    return n, h + 2 * padding[0] - kernel[0] + 1, w + 2 * padding[1] - kernel[1] + 1


def _prepare(x: Array, kernel: Pair, padding: Pair, tile: int) -> tuple[Array, Pair, Matrices]:
    """Return the map, its padding and the constants; padding that a patch of the first tile may lie in is written."""
    constants = matrices(tile, taps_of(kernel), x)
    if max(padding) > constants.patch - tile:
        x, padding = pad2d(x, padding), (0, 0)
    return x, padding, constants


def _run(work: Work) -> list[Array]:
    """Do the work; return a list with the gradient with respect to the kernel, (kh, kw, …), or an empty list."""
    shared = _is_wide(work.x.shape[3], work.tiled.shape[3]) and work.kernel == (work.constants.taps,) * 2
    dweights = (_by_frequency if shared else _by_block)(work)
    for other in dweights[1:]:
        parallel_rows(lambda a, b: np.add(a, b, out=a), dweights[0], other)
    return dweights[:1]


def _is_wide(c: int, c_out: int) -> bool:
    """Return whether the cores share the products instead of the tiles."""
    return c * c_out >= WIDE


def _by_block(work: Work) -> list[Array]:
    """Process block by block through all steps, while it is in the cache; every core has its own blocks."""
    kernels = None if work.y is None else work.kernels(ALL)

    def go_through(share: Sequence[Block]) -> list[Array]:
        totals: list[Array] = []
        for block in share:
            _through(work, block, kernels, totals)
        return [work.kernel_gradient(total) for total in totals]

    channels = work.x.shape[3] + work.tiled.shape[3]
    limit = max(min(channels, MIN_TILES), SCRATCH_BYTES // work.tile_bytes)
    found = parallel_map(go_through, work.blocks(limit), work.operations)
    return [dweight for dweights in found for dweight in dweights]


def _through(work: Work, block: Block, kernels: Array | None, totals: list[Array]) -> None:
    """Process a block in all steps; the next block reuses its scratch memory. Add its products to those in ``totals``.

    ``totals`` is empty before the first block, and then holds one array (pieces, frequencies, …).
    """
    count = count_tiles(block)
    patches = work.allocate(count_tiles(work.seen(block)), work.x)
    others = None if work.partner is None else work.allocate(count, work.partner)
    work.transform(block, patches, others)
    products = None if work.y is None else work.allocate(count, work.y)
    first = not totals
    if others is not None and first:
        left, right = work.in_order(patches, others)
        shape = work.pieces[0] * work.pieces[1], len(patches), left.shape[2], right.shape[2]
        totals.append(pooled_empty(work.x, shape))
    for part in work.parts:
        gathered = work.gather(patches[part], block)
        if products is not None and kernels is not None:
            stacked_product(gathered, kernels[part], products[part])
        if others is not None:
            _add_products(work, gathered, others[part], totals[0][:, part], first)
    if products is not None:
        work.write(products, block)


def _add_products(work: Work, gathered: Array, others: Array, totals: Array, first: bool) -> None:
    """Add the products of patches and tiles, summed over the tiles, to ``totals`` (pieces, frequencies, …)."""
    c = work.x.shape[3]
    for p in range(len(totals)):
        left, right = work.in_order(gathered[:, :, p * c : (p + 1) * c], others)
        term = totals[p] if first else pooled_empty(totals, totals[p].shape)
        stacked_product(left.swapaxes(1, 2), right, term)
        if not first:
            np.add(totals[p], term, out=totals[p])


def _by_frequency(work: Work) -> list[Array]:
    """Do each step for many tiles at once; in the products, every core has its own frequencies and kernels."""
    dweight = None
    for turn in _turns(work):
        dweight = _take_turn(work, turn, dweight)
    return [] if dweight is None else [dweight]


def _take_turn(work: Work, turn: Sequence[tuple[Block, slice]], dweight: Array | None) -> Array | None:
    """Process all blocks of a turn, step by step; each block has its place among the transformed tiles.

    Return the kernel's gradient up to this turn; ``dweight`` is that of the turns before.
    """
    count, a = turn[-1][1].stop, work.constants.patch
    patches = work.allocate(count, work.x)
    others = None if work.partner is None else work.allocate(count, work.partner)

    def transform(placed: tuple[Block, slice]) -> None:
        block, place = placed
        work.transform(block, patches[:, place], None if others is None else others[:, place])

    parallel_for(transform, turn, work.operations)
    if work.y is not None:
        products = work.allocate(count, work.y)

        def multiply(part: slice) -> None:
            np.matmul(patches[part], work.kernels(part), out=products[part])

        parallel_for(multiply, [slice(f, f + a) for f in range(0, a * a, a)], work.operations)
        parallel_for(lambda placed: work.write(products[:, placed[1]], placed[0]), turn, work.operations)
    return None if others is None else _kernel_gradient(work, patches, others, dweight)


def _kernel_gradient(work: Work, patches: Array, others: Array, before: Array | None) -> Array:
    """Return the kernel's gradient, including that of the turns ``before``; every core computes some of its columns."""
    left, right = work.in_order(patches, others)
    shape = *work.kernel, left.shape[2], right.shape[2]
    dweight = before if before is not None else pooled_empty(left, shape) if work.out is None else work.out

    def add(columns: slice) -> None:
        total = pooled_empty(left, (1, len(left), left.shape[2], right[0, 0, columns].size))
        np.matmul(left.swapaxes(1, 2), right[:, :, columns], out=total[0])
        term = work.kernel_gradient(total)
        if before is None:
            dweight[..., columns] = term
        else:
            dweight[..., columns] += term

    parts = [slice(c, c + COLUMNS) for c in range(0, right.shape[2], COLUMNS)]
    parallel_for(add, parts, work.operations)
    return dweight


def _turns(work: Work) -> list[list[tuple[Block, slice]]]:
    """Cut the tiles into blocks, and the blocks into turns; each block comes with its place in its turn."""
    most = max(MIN_ROWS, WIDE_BYTES // work.tile_bytes)
    turns: list[list[tuple[Block, slice]]] = []
    start = most
    for block in work.blocks(max(1, most // 8)):
        if start + count_tiles(block) > most:
            turns.append([])
            start = 0
        turns[-1].append((block, slice(start, start + count_tiles(block))))
        start += count_tiles(block)
    return turns
