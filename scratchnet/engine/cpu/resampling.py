"""Upsampling in memory from the pool; nearest neighbour in chunks of rows, on all cores."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.chunks import row_chunks
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.engine.memory_layout import copy_pixels
from scratchnet.ops.geometry import Pair, pair


def upsample_nearest(x: Array, scale: int | Pair) -> Array:
    """Repeat every pixel ``scale`` times in both directions: one row of copies first, then the copies of that row."""
    sh, sw = pair(scale, "scale", 1)
    n, h, w, c = x.shape
    y = pooled_empty(x, (n, h, sh * w * sw, c))  # all copies of a row
    pixels, copies = x.reshape(n * h, w, c), y.reshape(n * h, sh, w, sw, c)

    def repeat(rows: slice) -> None:
        first = copies[rows, 0]
        for j in range(sw):
            copy_pixels(pixels[rows], first[:, :, j])
        copies[rows, 1:] = first[:, None]

    parallel_for(repeat, row_chunks(y), OPERATIONS_PER_ELEMENT * y.size)
    return y.reshape(n, h * sh, w * sw, c)


def upsample_nearest_backward(dy: Array, scale: int | Pair) -> Array:
    """Sum the gradients of the copies of each pixel: rows first, in long runs of memory."""
    sh, sw = pair(scale, "scale", 1)
    n, h, w, c = len(dy), dy.shape[1] // sh, dy.shape[2] // sw, dy.shape[3]
    dx, copies = pooled_empty(dy, (n, h, w, c)), dy.reshape(n * h, sh, w * sw * c)
    sums = dx.reshape(n * h, w, c)

    def add(rows: slice) -> None:
        tall = pooled_empty(dy, (rows.stop - rows.start, w * sw * c))
        tall[...] = copies[rows, 0]
        for i in range(1, sh):
            np.add(tall, copies[rows, i], out=tall)
        columns = tall.reshape(-1, w, sw, c)
        sums[rows] = columns[:, :, 0]
        for j in range(1, sw):
            np.add(sums[rows], columns[:, :, j], out=sums[rows])

    parallel_for(add, row_chunks(dy.reshape(n, h, sh * w * sw, c)), OPERATIONS_PER_ELEMENT * dy.size)
    return dx


def bed_of_nails(x: Array, scale: int | Pair) -> Array:
    """Place every pixel in the upper left corner of a block of zeros."""
    sh, sw = pair(scale, "scale", 1)
    n, h, w, c = x.shape
    y = pooled_zeros(x, (n, h * sh, w * sw, c))
    y[:, ::sh, ::sw] = x
    return y
