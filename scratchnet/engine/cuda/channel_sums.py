"""Sums over all pixels on a GPU, in two stages (see ``sums.cu``), and how these stages cut a map into chunks."""

from dataclasses import dataclass
from math import prod

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cuda.compiled import THREADS, Sizes, contiguous, launch
from scratchnet.engine.memory.pool import pooled_empty

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
        across, groups = channels_together(c)
        size = min(LARGEST_CHUNK, max(SMALLEST_CHUNK, -(-pixels * groups // BLOCKS)))
        size = max(size, -(-pixels // 65535))  # the second axis of a grid has no more blocks
        count = -(-pixels // size)
        return cls(pixels, c, size, count, (across, THREADS // across), (groups, count), (groups,))

    def parts(self, like: Array, sums: int) -> Array:
        """Return memory for so many sums a chunk and channel."""
        return pooled_empty(like, (self.count, sums, self.channels), np.float64)


def channel_sums(x: Array) -> Array:
    """Sum (n, h, w, c) over everything but the channels: (c,), in the dtype of ``x``."""
    (x,) = contiguous(x)
    chunks = Chunks.of(x)
    parts = chunks.parts(x, 1)
    sizes = np.int64(chunks.pixels), chunks.size, chunks.channels
    launch("sums", "chunk_sums", x.dtype, chunks.first, chunks.block, x, parts, *sizes)
    return finish(parts, x)


def finish(parts: Array, like: Array) -> Array:
    """Add up the sums of all chunks (chunks, sums, c): (sums · c,), in the dtype of ``like``."""
    chunks, count = len(parts), parts.shape[1] * parts.shape[2]
    sums = pooled_empty(like, (count,))
    across, groups = channels_together(count)
    launch("sums", "finish_sums", like.dtype, (groups,), (across, THREADS // across), parts, sums, chunks, count)
    return sums


def channels_together(c: int) -> tuple[int, int]:
    """Return how many channels a block takes, a power of 2 up to 32, and how many blocks that makes."""
    across = min(32, 1 << (c - 1).bit_length())
    return across, -(-c // across)
