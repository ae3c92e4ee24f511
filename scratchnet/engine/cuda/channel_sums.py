"""Sums over all pixels on a GPU, in two stages (see ``sums.cu``), and the division of a map into chunks for them."""

from dataclasses import dataclass
from math import prod

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cuda.compiled import THREADS, Sizes, contiguous, launch
from scratchnet.engine.memory.pool import pooled_empty

MAX_CHUNK = 4096
"""Largest number of pixels for one block: small enough for sums in float32, large enough for a short second stage."""

SMALLEST_CHUNK = 64

BLOCKS = 1024
"""Number of blocks that keeps a large GPU busy; with fewer, the chunks are made smaller."""


@dataclass(frozen=True)
class Chunks:
    """Division of a map's pixels between the blocks of a sum.

    Attributes
    ----------
    pixels, channels : int
    size, count : int
        Pixels per chunk (the last may have fewer), and number of chunks.
    block : tuple of int
        Threads of a block, up to 32 channels wide.
    first, second : tuple of int
        Grids of the two stages.
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
        """Divide a map (…, c)."""
        pixels, c = prod(x.shape[:-1]), x.shape[-1]
        across, groups = channel_groups(c)
        size = min(MAX_CHUNK, max(SMALLEST_CHUNK, -(-pixels * groups // BLOCKS)))
        size = max(size, -(-pixels // 65535))  # the limit of the second axis of a grid
        count = -(-pixels // size)
        return cls(pixels, c, size, count, (across, THREADS // across), (groups, count), (groups,))

    def parts(self, like: Array, sums: int) -> Array:
        """Return an uninitialised array for ``sums`` sums per chunk and channel: (chunks, sums, c)."""
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
    across, groups = channel_groups(count)
    launch("sums", "finish_sums", like.dtype, (groups,), (across, THREADS // across), parts, sums, chunks, count)
    return sums


def channel_groups(c: int) -> tuple[int, int]:
    """Return the number of channels per block, a power of 2 up to 32, and the number of blocks."""
    across = min(32, 1 << (c - 1).bit_length())
    return across, -(-c // across)
