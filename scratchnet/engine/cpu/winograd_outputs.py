"""The outputs that a convolution in Winograd's form can write to: a map, or a larger one that it computes folded.

The tiles of a block come sorted by their column inside the tile, (n, rows, m, tiles, c); see ``winograd_transforms``.
"""

from itertools import product
from typing import Protocol

from scratchnet.arrays import Array
from scratchnet.engine.cpu.blocks import Block
from scratchnet.engine.memory_layout import copy_pixels
from scratchnet.ops.geometry import ConvSpec, tap


class Output(Protocol):
    """The output of a convolution.

    Attributes
    ----------
    shape : (n, oh, ow, c_out)
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the convolution's output, which is cut into tiles."""

    def write(self, by_column: Array, block: Block) -> None:
        """Write the tiles of a block, (n, rows·m, m, tiles, c_out); those at the edges may extend past it."""


class MapOutput:
    """A map (n, oh, ow, c_out)."""

    def __init__(self, y: Array) -> None:
        self._y = y

    @property
    def shape(self) -> tuple[int, ...]:
        """The map's shape."""
        shape: tuple[int, ...] = self._y.shape
        return shape

    def write(self, by_column: Array, block: Block) -> None:
        """Write the tiles of a block."""
        m = by_column.shape[2]
        target = self._y[block.n0 : block.n1, m * block.r0 : m * block.r1, m * block.c0 : m * block.c1]
        by_column = by_column[:, : target.shape[1]]
        whole = target.shape[2] // m
        copy_pixels(by_column[:, :, :, :whole], cut_columns(target, whole, m))
        for j in range(target.shape[2] - whole * m):  # the last tile extends past the edge
            copy_pixels(by_column[:, :, j, whole:], target[:, :, whole * m + j :][:, :, :1])


class UnfoldedOutput:
    """A map whose s·s neighbouring pixels are the channels of one pixel of the convolution's output (see ``folded``).

    Parameters
    ----------
    y : (n, h, w, c)
    conv : ConvSpec
        Its stride is s; its padding is cut off above and to the left.
    shape : (n, oh, ow, s·s·c)
        Shape of the convolution's output.
    """

    def __init__(self, y: Array, conv: ConvSpec, shape: tuple[int, int, int, int]) -> None:
        self._y, self._conv, self.shape = y, conv, shape

    def write(self, by_column: Array, block: Block) -> None:
        """Write the tiles of a block, each of the s·s pixels to its place."""
        (sh, sw), (ph, pw) = self._conv.stride, self._conv.padding
        n, rows, m, tiles, _ = by_column.shape
        pixels = by_column.reshape(n, rows, m, tiles, sh, sw, -1)
        images = self._y[block.n0 : block.n1]
        for a, (j, b) in product(range(sh), product(range(m), range(sw))):
            v = tap(a, images.shape[1], rows, sh, ph, m * block.r0)
            u = tap(j * sw + b, images.shape[2], tiles, m * sw, pw, block.c0)
            copy_pixels(pixels[:, v.out, j, u.out, a, b], images[:, v.source, u.source])


def cut_columns(x: Array, count: int, step: int) -> Array:
    """View the first ``count · step`` columns as (n, rows, column inside the tile, tile, c)."""
    n, rows, _, c = x.shape
    return x[:, :, : count * step].reshape(n, rows, count, step, c).swapaxes(2, 3)
