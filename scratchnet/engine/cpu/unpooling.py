"""Unpooling and the two backward passes of pooling, block by block on all cores.

A value is multiplied by the integer 0 or 1 in its bits (see ``selection``) and written for every position of the
window in turn. Where the windows tile the map, the pixels are computed sorted by position and then interleaved.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.activation import relu_backward
from scratchnet.engine.cpu.blocks import Block
from scratchnet.engine.cpu.pool_windows import (
    overlapping,
    pool_blocks,
    pool_taps,
    separate_blocks,
    tile_pixels,
    tiling,
)
from scratchnet.engine.cpu.selection import as_integers, keep_where_equal, keep_where_positive
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.engine.memory_layout import copy_pixels
from scratchnet.ops.geometry import Tap
from scratchnet.ops.switches import Switches


def max_pool2d_backward(dy: Array, switches: Switches, y: Array | None = None) -> Array:
    """Return dx (n, h, w, c): the gradient of each maximum at its pixel, masked by ``y > 0`` if ``y`` is given."""
    if y is not None and tiling(switches):
        return _unpool_tiles(dy, switches, y)
    return max_unpool2d(dy if y is None else relu_backward(dy, y), switches)


def max_unpool2d(x: Array, switches: Switches) -> Array:
    """Return a map with every value at the position given by its switch, and zeros elsewhere."""
    if tiling(switches):
        return _unpool_tiles(x, switches)
    y = pooled_zeros(x, (len(x), *switches.size, x.shape[3]))
    add = overlapping(switches)

    def unpool(part: list[Block]) -> None:
        for block in part:
            chosen = pooled_empty(x, x[block.n0 : block.n1, block.r0 : block.r1].shape)
            for j, v, u in pool_taps(switches, block):
                here, target = chosen[:, v.out, u.out], y[block.n0 : block.n1, v.source, u.source]
                _values_where(x, switches, block, j, v, u, here, here if add else target)
                if add:
                    target += here

    parallel_for(unpool, separate_blocks(switches), OPERATIONS_PER_ELEMENT * y.size)
    return y


def _unpool_tiles(x: Array, switches: Switches, mask: Array | None = None) -> Array:
    """Unpool adjacent, non-overlapping windows: compute the pixels by position in the window, then interleave them.

    Values where ``mask`` is not positive count as 0.
    """
    y = pooled_empty(x, (len(x), *switches.size, x.shape[3]))

    def unpool(block: Block) -> None:
        here = slice(block.n0, block.n1), slice(block.r0, block.r1)
        index, values = switches.index[here], x[here]
        if mask is not None:
            values = pooled_empty(x, values.shape)
            keep_where_positive(x[here], mask[here], values, values)
        pixels = tile_pixels(switches, y, block)
        found = pooled_empty(x, pixels.shape)
        for j, part in enumerate(found.reshape(-1, *values.shape)):
            keep_where_equal(values, index, index.dtype.type(j), part, part)
        copy_pixels(found, pixels)

    parallel_for(unpool, pool_blocks(switches), OPERATIONS_PER_ELEMENT * y.size)
    return y


def _values_where(
    x: Array, switches: Switches, block: Block, j: int, v: Tap, u: Tap, scratch: Array, out: Array
) -> None:
    """Write the values of ``x`` whose switch is j to ``out``, and 0 elsewhere."""
    rows = slice(block.r0 + v.out.start, block.r0 + v.out.stop)
    index, values = (a[block.n0 : block.n1, rows, u.out] for a in (switches.index, x))
    keep_where_equal(values, index, index.dtype.type(j), scratch, out)


def max_unpool2d_backward(dy: Array, switches: Switches) -> Array:
    """Return dx (n, oh, ow, c): the gradient at each switch."""
    if tiling(switches):
        return _gather_tiles(dy, switches)
    dx = pooled_empty(dy, switches.index.shape)

    def gather(block: Block) -> None:
        index, sums = (a[block.n0 : block.n1, block.r0 : block.r1] for a in (switches.index, dx))
        chosen = pooled_empty(dy, sums.shape)
        sums.fill(0)
        for j, v, u in pool_taps(switches, block):
            here, total = chosen[:, v.out, u.out], sums[:, v.out, u.out]
            read = dy[block.n0 : block.n1, v.source, u.source]
            keep_where_equal(read, index[:, v.out, u.out], index.dtype.type(j), here, here)
            total += here

    parallel_for(gather, pool_blocks(switches), OPERATIONS_PER_ELEMENT * dy.size)
    return dx


def _gather_tiles(dy: Array, switches: Switches) -> Array:
    """Read the gradient at each switch, for adjacent, non-overlapping windows."""
    dx = pooled_empty(dy, switches.index.shape)
    gather = _gather_2x2 if switches.kernel == (2, 2) else _gather_positions

    def work(block: Block) -> None:
        index, found = (a[block.n0 : block.n1, block.r0 : block.r1] for a in (switches.index, dx))
        pixels = tile_pixels(switches, dy, block)
        gradients = pooled_empty(dy, pixels.shape)
        copy_pixels(pixels, gradients)
        gather(gradients, index, found)

    parallel_for(work, pool_blocks(switches), OPERATIONS_PER_ELEMENT * dy.size)
    return dx


def _gather_positions(gradients: Array, index: Array, found: Array) -> None:
    """Write the one of ``gradients`` (kh, kw, …) that ``index`` points to; ``gradients`` is changed."""
    chosen = pooled_empty(found, found.shape)
    for j, part in enumerate(gradients.reshape(-1, *found.shape)):
        keep_where_equal(part, index, index.dtype.type(j), chosen, part if j else found)
        if j:
            np.add(found, part, out=found)


def _gather_2x2(gradients: Array, index: Array, found: Array) -> None:
    """Like :func:`_gather_positions` for 2×2 pixels: choose the row of both columns, then the column."""
    top, bottom = as_integers(gradients)
    bit, ones = pooled_empty(index, index.shape), as_integers(pooled_empty(found, found.shape))
    np.right_shift(index, index.dtype.type(1), out=bit)
    np.copyto(ones, bit)
    _choose(top, bottom, ones, top)
    np.bitwise_and(index, index.dtype.type(1), out=bit)
    np.copyto(ones, bit)
    _choose(top[0], top[1], ones, as_integers(found))


def _choose(first: Array, second: Array, ones: Array, out: Array) -> None:
    """Write ``second`` where ``ones`` is 1 and ``first`` where it is 0; ``second`` is changed. All are integers.

    The differences overflow, and the sums overflow back: integers count modulo a power of two.
    """
    np.subtract(second, first, out=second)
    np.multiply(second, ones, out=second)
    np.add(first, second, out=out)
