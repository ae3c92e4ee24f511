"""Sums over all pixels on a GPU, in two stages (see ``sums.cu``), and how these stages cut a map into chunks."""

from dataclasses import dataclass
from math import prod

import numpy as np

from scratchnet.arrays import Array
from scratchnet.ops.cuda.compiled import THREADS, Sizes, contiguous, launch
from scratchnet.recycling import empty

LARGEST_CHUNK = 4096
"""Pixels that one block adds up: few enough for sums in float32, many enough for the second stage to be short."""

SMALLEST_CHUNK = 64

BLOCKS = 1024
"""Blocks that keep a large GPU busy; the chunks get smaller where there would be fewer."""


@dataclass(frozen=True)
class Chunks:
    """How the pixels of a map are shared between the blocks of a sum.

    Attributes
    ----------
    pixels, channels : int
    size, count : int
        Pixels of a chunk (the last may have fewer), and chunks.
    block : tuple of int
        Up to 32 channels wide.
    first, second : tuple of int
        The grids of the two stages.
    """

    pixels: int
    channels: int
    size: int
    count: int
    block: Sizes
    first: Sizes
    second: Sizes

    @classmethod
    def of(cls, x: Array) -> "Chunks":
        """Cut a map (…, c)."""
        pixels, c = prod(x.shape[:-1]), x.shape[-1]
        across = min(32, 1 << (c - 1).bit_length())
        groups = -(-c // across)
        size = min(LARGEST_CHUNK, max(SMALLEST_CHUNK, -(-pixels * groups // BLOCKS)))
        size = max(size, -(-pixels // 65535))  # the second axis of a grid has no more blocks
        count = -(-pixels // size)
        return cls(pixels, c, size, count, (across, THREADS // across), (groups, count), (groups,))

    def parts(self, like: Array, sums: int) -> Array:
        """Return memory for so many sums a chunk and channel."""
        return empty(like, (self.count, sums, self.channels), np.float64)


def column_sums(x: Array) -> Array:
    """Sum (n, h, w, c) over everything but the channels: (c,), in the dtype of ``x``."""
    (x,) = contiguous(x)
    chunks = Chunks.of(x)
    parts, sums = chunks.parts(x, 1), empty(x, (chunks.channels,))
    sizes = np.int64(chunks.pixels), chunks.size, chunks.channels
    launch("sums", "chunk_sums", x.dtype, chunks.first, chunks.block, x, parts, *sizes)
    launch("sums", "finish_sums", x.dtype, chunks.second, chunks.block, parts, sums, chunks.count, chunks.channels)
    return sums
