"""Upsampling in memory from the pool; nearest neighbour and FCN's bilinear kernel in chunks of rows, on all cores.

Along one axis, FCN's bilinear upsampling is a product of a small matrix with two neighbouring pixels or rows. The
columns are upsampled first, while the map is small, and the rows, where most of the work is, in long runs of memory.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.blocks import blocks
from scratchnet.engine.cpu.chunks import CHUNK_BYTES, row_chunks
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for, thread_count
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.engine.memory_layout import copy_pixels
from scratchnet.ops.geometry import Pair, integer, pair


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


def bilinear_transpose(x: Array, factor: int) -> Array:
    """Upsample by FCN's bilinear deconvolution, (n, (h + 1)·factor, (w + 1)·factor, c)."""
    factor = integer(factor, "factor", 1)
    n, h, w, c = x.shape
    halves = np.stack(_tent(x, factor), axis=1)  # (f, 2): of the pixel before and of the pixel itself
    narrow = pooled_zeros(x, (n * h, w + 2, c))
    narrow[:, 1:-1] = x.reshape(n * h, w, c)
    wide = pooled_zeros(x, (n, h + 2, (w + 1) * factor * c))
    columns = pooled_empty(x, (n * h, w + 1, factor, c))
    np.matmul(halves, _windows(narrow, 2), out=columns)
    wide[:, 1:-1] = columns.reshape(n, h, wide.shape[2])
    y = pooled_empty(x, (n, h + 1, factor, wide.shape[2]))
    pairs = _windows(wide, 2)

    def upsample(part: tuple[slice, slice]) -> None:
        np.matmul(halves, pairs[part], out=y[part])

    parallel_for(upsample, _parts(n, h + 1, factor * wide.shape[2] * y.itemsize), OPERATIONS_PER_ELEMENT * y.size)
    return y.reshape(n, (h + 1) * factor, (w + 1) * factor, c)


def bilinear_transpose_backward(dy: Array, factor: int) -> Array:
    """Return dx: each input pixel gathers the gradients under its tent."""
    factor = integer(factor, "factor", 1)
    n, oh, ow, c = dy.shape
    if oh % factor or ow % factor or min(oh, ow) < 2 * factor:  # an error, which the plain form raises
        return NotImplemented  # type: ignore[no-any-return]
    h, w = oh // factor - 1, ow // factor - 1
    falling, rising = _tent(dy, factor)
    tent = np.concatenate([rising, falling])
    rows = pooled_empty(dy, (n, h, ow * c))
    below = _windows(dy.reshape(n, oh, ow * c), 2 * factor, factor)

    def gather(part: tuple[slice, slice]) -> None:
        np.matmul(tent, below[part], out=rows[part])

    parallel_for(gather, _parts(n, h, 2 * factor * rows.shape[2] * dy.itemsize), OPERATIONS_PER_ELEMENT * dy.size)
    dx = pooled_empty(dy, (n * h, w, c))
    np.matmul(tent, _windows(rows.reshape(n * h, ow, c), 2 * factor, factor), out=dx)
    return dx.reshape(n, h, w, c)


def _tent(like: Array, factor: int) -> tuple[Array, Array]:
    """Return the falling and the rising half of the tent, ``factor`` values each."""
    rising = ((np.arange(factor) + 0.5) / factor).astype(like.dtype)
    return rising[::-1], rising


def _windows(rows: Array, size: int, step: int = 1) -> Array:
    """View windows of ``size`` adjacent rows of (n, rows, …), ``step`` rows apart: (n, windows, size, …)."""
    image, row, *rest = rows.strides
    shape = len(rows), (rows.shape[1] - size) // step + 1, size, *rows.shape[2:]
    return np.lib.stride_tricks.as_strided(rows, shape, (image, step * row, row, *rest), subok=True)


def _parts(n: int, rows: int, row_bytes: int) -> list[tuple[slice, slice]]:
    """Cut ``n`` maps of ``rows`` rows into parts that fit a core's cache, at least one per core if possible."""
    found = blocks(n, rows, 1, max(1, CHUNK_BYTES // max(1, row_bytes)), thread_count())
    return [(slice(b.n0, b.n1), slice(b.r0, b.r1)) for b in found]
