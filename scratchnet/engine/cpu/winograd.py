"""Winograd's 3×3 convolution: fewer multiplications by means of a transform.

    Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A

Cut the output into tiles Y of m × m pixels, each of which depends on a patch d of m + 2 pixels in each direction.
Transform the patch and the kernel g by small constant matrices, multiply *elementwise* instead of sliding, and
transform back.

For m = 4 that takes 36 multiplications instead of the 144 of the sliding sum. Over all tiles and channels, the
elementwise products become (m + 2)² matrix products of (tiles × c_in) · (c_in × c_out), which take most of the time.

The gradients use the same three steps in a different order. The gradient with respect to the input is the convolution
of dY with the rotated kernel. The gradient with respect to the kernel transforms X as above and dY by A, and transforms
the products back with G:

    dg = Gᵀ [ (Bᵀ d B) ⊙ (A dY Aᵀ) ] G           summed over all tiles

The two factors may be exchanged: patches of dY with tiles of X give the rotated dg. So both gradients can use the same
transformed patches of dY, which :func:`conv3x3_backward` computes once.

``winograd_transforms`` explains how the transforms are made fast in NumPy. This module orders the work: a block of
tiles is small enough for all its steps to stay in a core's cache (:func:`_by_block`). If the kernels are larger than
the cache, the cores share the 36 products (and the columns of a kernel's gradient) instead of the tiles, so that each
kernel element is read once (:func:`_by_frequency`).

F(4×4) adds rounding errors of about 1e-5 of the largest output in float32, F(2×2) no more than the direct sum. A patch
of zeros gives exact zeros, or exactly the bias. A sum that is 0 for another reason, because its terms cancel or because
the patch of the tile is larger than the window, may become a rounding error of either sign.

References
----------
Winograd, "Arithmetic complexity of computations" (1980). Lavin and Gray, "Fast algorithms for convolutional neural
networks" (2016), sections 4.1 to 4.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu import winograd_transforms
from scratchnet.engine.cpu.blocks import Block, blocks
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.cpu.threads import parallel_for, parallel_map, thread_count
from scratchnet.engine.cpu.winograd_transforms import ALL, Matrices
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.geometry import Pair

SCRATCH_BYTES = 2 << 20
"""Size of the transformed tiles of a block; about what a core's cache holds."""

MIN_TILES = 128
"""Minimum number of tiles in a block of a layer with many channels, so that each kernel is used often enough."""

WIDE = 128 * 256
"""Products of input and output channels from which on the kernels do not fit the cache."""

WIDE_BYTES = 32 << 20
"""Size of the transformed tiles of a wide layer that are held at one time."""

COLUMNS = 64
"""Columns of a wide layer's kernel gradient that are computed at one time."""

MIN_ROWS = 256
"""Minimum number of tiles of a wide layer in memory at a time, for the same reason."""


def conv3x3(x: Array, weight: Array, bias: Array | None, padding: Pair, tile: int, flipped: bool = False) -> Array:
    """Convolve ``x`` (n, h, w, c_in) with ``weight`` (3, 3, c_in, c_out) at stride 1.

    Parameters
    ----------
    padding : (vertical, horizontal)
    tile : 2 or 4
        m; the sizes need not be multiples of it.
    flipped : bool
        Use the kernel rotated by 180° with its channel axes exchanged; the weight is then (3, 3, c_out, c_in).

    Returns
    -------
    (n, h + 2·padding − 2, w + 2·padding − 2, c_out)
    """
    n, h, w, _ = x.shape
    y = pooled_empty(x, (n, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2, weight.shape[2 if flipped else 3]))
    _run(Work(x, padding, winograd_transforms.matrices(tile, x), weight, bias, flipped, y=y))
    return y


def conv3x3_backward(
    dy: Array, x: Array, weight: Array, padding: Pair, tile: int, flipped: bool, out: Array | None = None
) -> tuple[Array, Array]:
    """Return both gradients of a layer whose gradient with respect to the input is a convolution of ``dy``.

    Parameters
    ----------
    dy : (n, oh, ow, c_out)
    x : (n, h, w, c_in)
        The layer's input.
    weight, padding, tile, flipped
        Arguments with ``dx = conv3x3(dy, weight, None, padding, tile, flipped)``: flipped for a convolution, whose
        padding is 2 − ``padding``, and not flipped for a transposed convolution.
    out : as ``weight``, or None
        Array that a wide layer writes dweight to.

    Returns
    -------
    dx : as ``x``
    dweight : as ``weight``
    """
    dx = pooled_empty(dy, x.shape)
    (dweight,) = _run(
        Work(dy, padding, winograd_transforms.matrices(tile, dy), weight, None, flipped, y=dx, partner=x, out=out)
    )
    return dx, dweight


def conv3x3_weight_gradient(dy: Array, x: Array, padding: Pair, tile: int, out: Array | None = None) -> Array:
    """Return dweight (3, 3, c_in, c_out) for :func:`conv3x3`; a wide layer writes it to ``out``."""
    (dweight,) = _run(Work(x, padding, winograd_transforms.matrices(tile, x), partner=dy, out=out))
    return dweight


@dataclass(frozen=True)
class Work:
    """The use of a map's transformed patches: a convolution, the sums of a kernel's gradient, or both.

    Attributes
    ----------
    x : (n, h, w, c)
    padding, constants
        Padding of ``x`` and matrices of the transform.
    weight, bias, flipped
        Arguments of the convolution that is written to ``y``.
    y : (n, oh, ow, c_out) or None
    partner : (n, oh, ow, c_out) or None
        The map whose tiles are multiplied with the patches and summed over.
    out : (3, 3, c_in, c_out) or None
        Memory in which the kernel's gradient may be returned.
    """

    x: Array
    padding: Pair
    constants: Matrices
    weight: Array | None = None
    bias: Array | None = None
    flipped: bool = False
    y: Array | None = None
    partner: Array | None = None
    out: Array | None = None

    @property
    def tiled(self) -> Array:
        """The map that is cut into tiles."""
        tiled = self.partner if self.y is None else self.y
        assert tiled is not None
        return tiled

    @property
    def operations(self) -> int:
        """Multiply-adds of the direct sum."""
        operations: int = prod(self.tiled.shape) * 9 * self.x.shape[3]
        return operations

    @property
    def tile_bytes(self) -> int:
        """Bytes of a transformed tile on both sides."""
        channels: int = self.x.shape[3] + self.tiled.shape[3]
        return self.constants.patch**2 * channels * self.x.itemsize

    def blocks(self, limit: int, parts: int = 1) -> list[Block]:
        """Cut the tiles into blocks of at most ``limit`` tiles, and into at least ``parts`` blocks."""
        n, oh, ow, _ = self.tiled.shape
        m = self.constants.tile
        return blocks(n, ceil(oh / m), ceil(ow / m), limit, parts)

    def allocate(self, count: int, like: Array) -> Array:
        """Allocate memory for ``count`` transformed tiles with the channels of ``like``."""
        return pooled_empty(self.x, (self.constants.patch**2, count, like.shape[3]))

    def kernels(self, part: slice) -> Array:
        """Return the transformed kernels, for some of the frequencies."""
        assert self.weight is not None
        return winograd_transforms.transform_kernel(self.weight, self.constants, part, self.flipped)

    def transform(self, block: Block, patches: Array, others: Array | None) -> None:
        """Transform the patches of a block, and the tiles that they are multiplied with."""
        winograd_transforms.transform_patches(self.x, block, self.padding, self.constants, patches)
        if self.partner is not None and others is not None:
            winograd_transforms.transform_tiles(self.partner, block, self.constants, others)

    def write(self, products: Array, block: Block) -> None:
        """Transform the products of a block back, into ``y``."""
        assert self.y is not None
        winograd_transforms.transform_back(products, self.y, block, self.bias, self.constants)

    def in_order(self, patches: Array, others: Array) -> tuple[Array, Array]:
        """Return the two in the order of the kernel's axes."""
        return (others, patches) if self.flipped else (patches, others)


def products_of(left: Array, right: Array) -> Array:
    """Sum the products of patches and tiles: a kernel's gradient, still transformed."""
    products = pooled_empty(left, (len(left), left.shape[2], right.shape[2]))
    np.matmul(left.swapaxes(1, 2), right, out=products)
    return products


def _run(work: Work) -> list[Array]:
    """Do the work; return a list with the gradient with respect to the kernel, (3, 3, …), or an empty list."""
    wide = _is_wide(work.x.shape[3], work.tiled.shape[3])
    dweights = (_by_frequency if wide else _by_block)(work)
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
        total = None
        for block in share:
            total = _through(work, block, kernels, total)
        return [] if total is None else [winograd_transforms.kernel_gradient(total, work.constants, work.flipped)]

    channels = work.x.shape[3] + work.tiled.shape[3]
    limit = max(min(channels, MIN_TILES), SCRATCH_BYTES // work.tile_bytes)
    found = parallel_map(go_through, work.blocks(limit, 2 * thread_count()), work.operations)
    return [dweight for dweights in found for dweight in dweights]


def _through(work: Work, block: Block, kernels: Array | None, total: Array | None) -> Array | None:
    """Process a block in all steps; the next block reuses its scratch memory. Return ``total`` plus its products."""
    count = _count(block)
    patches = work.allocate(count, work.x)
    others = None if work.partner is None else work.allocate(count, work.partner)
    work.transform(block, patches, others)
    if work.y is not None and kernels is not None:
        products = work.allocate(count, work.y)
        np.matmul(patches, kernels, out=products)
        work.write(products, block)
        del products
    if others is None:
        return None
    products = products_of(*work.in_order(patches, others))
    if total is None:
        return products
    total += products
    return total


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
    shape = 3, 3, left.shape[2], right.shape[2]
    dweight = before if before is not None else pooled_empty(left, shape) if work.out is None else work.out

    def add(columns: slice) -> None:
        total = products_of(left, right[:, :, columns])
        term = winograd_transforms.kernel_gradient(total, work.constants, work.flipped)
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
    for block in work.blocks(max(1, most // 8), 2 * thread_count()):
        if start + _count(block) > most:
            turns.append([])
            start = 0
        turns[-1].append((block, slice(start, start + _count(block))))
        start += _count(block)
    return turns


def _count(block: Block) -> int:
    """Return the number of tiles in a block."""
    return (block.n1 - block.n0) * (block.r1 - block.r0) * (block.c1 - block.c0)
