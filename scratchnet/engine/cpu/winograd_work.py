"""The work of a convolution in Winograd's form: its maps, its kernel, and the steps for one block of tiles.

``winograd`` explains the steps and orders them.
"""

from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu import winograd_kernels, winograd_transforms
from scratchnet.engine.cpu.blocks import Block, blocks
from scratchnet.engine.cpu.epilogue import BlockEpilogue
from scratchnet.engine.cpu.threads import thread_count
from scratchnet.engine.cpu.winograd_kernels import ALL
from scratchnet.engine.cpu.winograd_outputs import Output
from scratchnet.engine.cpu.winograd_points import Matrices
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.memory_layout import copy_pixels
from scratchnet.ops.geometry import Pair


@dataclass(frozen=True)
class Work:
    """The use of a map's transformed patches: a convolution, the sums of a kernel's gradient, or both.

    Attributes
    ----------
    x : (n, h, w, c)
    kernel : (kh, kw)
        Size of the kernel.
    padding, constants
        Padding of ``x`` and matrices of the transform.
    weight, bias, flipped, finish
        Arguments of the convolution that is written to ``y``, and what comes after it.
    y : Output or None
        Where the convolution is written to.
    partner : (n, oh, ow, c_out) or None
        The map whose tiles are multiplied with the patches and summed over.
    out : (kh, kw, c_in, c_out) or None
        Memory in which the kernel's gradient may be returned.
    """

    x: Array
    kernel: Pair
    padding: Pair
    constants: Matrices
    weight: Array | None = None
    bias: Array | None = None
    flipped: bool = False
    finish: BlockEpilogue | None = None
    y: Output | None = None
    partner: Array | None = None
    out: Array | None = None

    @property
    def tiled(self) -> Array | Output:
        """The map that is cut into tiles."""
        tiled = self.partner if self.y is None else self.y
        assert tiled is not None
        return tiled

    @property
    def operations(self) -> int:
        """Multiply-adds of the direct sum."""
        operations: int = prod(self.tiled.shape) * prod(self.kernel) * self.x.shape[3]
        return operations

    @property
    def pieces(self) -> Pair:
        """Rows and columns of pieces that the kernel consists of; the taps are then as many as a tile's pixels."""
        return winograd_kernels.pieces_of(self.kernel, self.constants.taps)

    @property
    def parts(self) -> list[slice]:
        """The frequencies that are multiplied at one time."""
        if self.pieces == (1, 1):
            return [ALL]
        a = self.constants.patch
        return [slice(f, f + a) for f in range(0, a * a, a)]

    @property
    def tile_bytes(self) -> int:
        """Bytes of a transformed tile on both sides."""
        channels: int = self.x.shape[3] + self.tiled.shape[3]
        return self.constants.patch**2 * channels * self.x.itemsize

    def blocks(self, limit: int) -> list[Block]:
        """Cut the tiles into blocks of at most ``limit`` tiles, at least two for each core if possible."""
        n, oh, ow, _ = self.tiled.shape
        m = self.constants.tile
        return blocks(n, ceil(oh / m), ceil(ow / m), limit, thread_count(), per_core=2)

    def seen(self, block: Block) -> Block:
        """Return the tiles whose patches a block needs: also those below and to the right, for the other pieces."""
        down, across = self.pieces
        return Block(block.n0, block.n1, block.r0, block.r1 + down - 1, block.c0, block.c1 + across - 1)

    def allocate(self, count: int, like: Array | Output) -> Array:
        """Allocate memory for ``count`` transformed tiles with the channels of ``like``."""
        return pooled_empty(self.x, (self.constants.patch**2, count, like.shape[3]))

    def kernels(self, part: slice) -> Array:
        """Return the transformed kernels, for some of the frequencies."""
        assert self.weight is not None
        return winograd_kernels.transform_kernel(self.weight, self.constants, part, self.flipped)

    def transform(self, block: Block, patches: Array, others: Array | None) -> None:
        """Transform the patches that a block needs, and the tiles that they are multiplied with."""
        winograd_transforms.transform_patches(self.x, self.seen(block), self.padding, self.constants, patches)
        if self.partner is not None and others is not None:
            winograd_transforms.transform_tiles(self.partner, block, self.constants, others)

    def gather(self, patches: Array, block: Block) -> Array:
        """Return the patches of all pieces of the kernel side by side: (frequencies, tiles, pieces · c).

        The patch of a piece is that of a neighbouring tile, since the pieces are as far apart as the tiles.
        """
        down, across = self.pieces
        if down == across == 1:
            return patches
        n, rows, tiles, c = block.n1 - block.n0, block.r1 - block.r0, block.c1 - block.c0, self.x.shape[3]
        grid = patches.reshape(len(patches), n, rows + down - 1, tiles + across - 1, c)
        f, image, row, tile, channel = grid.strides
        neighbours = np.lib.stride_tricks.as_strided(
            grid, (len(grid), n, rows, tiles, down, across * c), (f, image, row, tile, row, channel)
        )
        gathered = pooled_empty(self.x, neighbours.shape)
        copy_pixels(neighbours, gathered)
        return gathered.reshape(len(grid), n * rows * tiles, down * across * c)

    def write(self, products: Array, block: Block) -> None:
        """Transform the products of a block back, into ``y``."""
        assert self.y is not None
        winograd_transforms.transform_back(products, self.y, block, self.bias, self.constants, self.finish)

    def in_order(self, patches: Array, others: Array) -> tuple[Array, Array]:
        """Return the two in the order of the kernel's axes."""
        return (others, patches) if self.flipped else (patches, others)

    def kernel_gradient(self, totals: Array) -> Array:
        """Transform the sums (pieces, frequencies, …) over all tiles back to the gradient (kh, kw, …)."""
        return winograd_kernels.kernel_gradient(totals, self.constants, self.kernel, self.flipped)


def count_tiles(block: Block) -> int:
    """Return the number of tiles in a block."""
    return (block.n1 - block.n0) * (block.r1 - block.r0) * (block.c1 - block.c0)
