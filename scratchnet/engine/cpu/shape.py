"""Padding, concatenation and sums of maps, and copies of kernels, which may be strided, on all cores.

The results are in memory from the pool. Maps are divided by rows, kernels by their elements.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.blocks import Block, blocks
from scratchnet.engine.cpu.chunks import CHUNK_BYTES
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for, thread_count
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.memory_layout import copy_pixels
from scratchnet.ops.geometry import Pair, pair


def crop2d_backward(dy: Array, offset: int | Pair, size: Pair) -> Array:
    """Return dx of ``size`` (h, w): the gradient inside the crop, zero outside."""
    return _framed(dy, pair(offset, "offset", 0), pair(size, "size", 1))


def pad2d(x: Array, padding: int | Pair) -> Array:
    """Pad all four sides with zeros."""
    ph, pw = pair(padding, "padding", 0)
    return _framed(x, (ph, pw), (x.shape[1] + 2 * ph, x.shape[2] + 2 * pw))


def _framed(x: Array, corner: Pair, size: Pair) -> Array:
    """Return a map of ``size`` (h, w) with ``x`` at ``corner`` (row, column) and zeros around it."""
    (top, left), (n, h, w, c) = corner, x.shape
    y = pooled_empty(x, (n, *size, c))

    def copy(block: Block) -> None:
        """Copy rows of ``x``, and let the first and the last also write the zeros above and below."""
        images = slice(block.n0, block.n1)
        whole = y[images, (0 if block.r0 == 0 else top + block.r0) : (size[0] if block.r1 == h else top + block.r1)]
        inside = y[images, top + block.r0 : top + block.r1]
        if whole.shape != inside[:, :, left : left + w].shape:
            whole.fill(0)
        copy_pixels(x[images, block.r0 : block.r1], inside[:, :, left : left + w])

    parallel_for(copy, _row_blocks(y, h), OPERATIONS_PER_ELEMENT * y.size)
    return y


def concatenate(*maps: Array) -> Array:
    """Concatenate maps along the channels."""
    ends = np.cumsum([m.shape[3] for m in maps]).tolist()
    y = pooled_empty(maps[0], (*maps[0].shape[:3], ends[-1]))

    def copy(block: Block) -> None:
        here = slice(block.n0, block.n1), slice(block.r0, block.r1)
        for m, end in zip(maps, ends, strict=True):
            copy_pixels(m[here], y[(*here, slice(None), slice(end - m.shape[3], end))])

    parallel_for(copy, _row_blocks(y, y.shape[1]), OPERATIONS_PER_ELEMENT * y.size)
    return y


def add(*maps: Array) -> Array:
    """Sum maps of the same shape."""
    y = pooled_empty(maps[0], maps[0].shape)

    def sum_(block: Block) -> None:
        here = slice(block.n0, block.n1), slice(block.r0, block.r1)
        if len(maps) == 1:
            y[here] = maps[0][here]
            return
        np.add(maps[0][here], maps[1][here], out=y[here])
        for m in maps[2:]:
            np.add(y[here], m[here], out=y[here])

    parallel_for(sum_, _row_blocks(y, y.shape[1]), OPERATIONS_PER_ELEMENT * y.size)
    return y


def contiguous_kernel(weight: Array) -> Array:
    """Copy a kernel (kh, kw, …) to contiguous memory."""
    copied = pooled_empty(weight, weight.shape)

    def copy(element: Pair) -> None:
        copied[element] = weight[element]

    parallel_for(copy, list(np.ndindex(weight.shape[:2])), OPERATIONS_PER_ELEMENT * 2 * weight.size)
    return copied


def _row_blocks(y: Array, rows: int) -> list[Block]:
    """Cut ``rows`` rows of every map into blocks, at least one per core."""
    row = max(1, y.shape[2] * y.shape[3] * y.itemsize)
    return blocks(len(y), rows, 1, max(1, CHUNK_BYTES // row), thread_count())
