"""Max-pooling, block by block on all cores: the position of a maximum is computed with comparisons, not with argmax.

Comparisons and maxima of two arrays run over long runs of memory, and every one of them can be replayed. Windows
of 2×2 pixels without padding have a form of their own. Unpooling is in ``unpooling``.
"""

from functools import partial

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture import record_call
from scratchnet.engine.cpu.blocks import Block
from scratchnet.engine.cpu.pool_windows import pool_blocks, pool_taps
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for
from scratchnet.engine.cpu.unpooling import max_pool2d_backward, max_unpool2d, max_unpool2d_backward
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.memory_layout import copy_pixels
from scratchnet.engine.pooling_outputs import empty_outputs
from scratchnet.ops.geometry import Pair
from scratchnet.ops.switches import Switches

__all__ = ["max_pool2d", "max_pool2d_backward", "max_unpool2d", "max_unpool2d_backward"]


def max_pool2d(
    x: Array, kernel: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0, ceil_mode: bool = False
) -> tuple[Array, Switches]:
    """Return the maximum of every window and its position."""
    y, switches = empty_outputs(x, kernel, stride, padding, ceil_mode)
    k, s, p = switches.kernel, switches.stride, switches.padding
    pool = _pool_2x2 if k == s == (2, 2) and p == (0, 0) and not ceil_mode else _pool

    def work(block: Block) -> None:
        pool(x, y, switches, block)
        here = slice(block.n0, block.n1), slice(block.r0, block.r1)
        record_call(partial(_point_to_nan, switches, block), y[here], switches.index[here], x[block.n0 : block.n1])

    parallel_for(work, pool_blocks(switches), OPERATIONS_PER_ELEMENT * x.size)
    return y, switches


def _pool(x: Array, y: Array, switches: Switches, block: Block) -> None:
    """Loop over the positions in the window, keeping the maximum so far and its position."""
    best, where = (a[block.n0 : block.n1, block.r0 : block.r1] for a in (y, switches.index))
    best.fill(-np.inf)
    _point_inside(where, switches, block)
    for j, v, u in pool_taps(switches, block):
        candidate, chosen = x[block.n0 : block.n1, v.source, u.source], where[:, v.out, u.out]
        # j increases, so the largest j that improved on all earlier values is the position of the first maximum.
        better = np.greater(candidate, best[:, v.out, u.out]).astype(where.dtype)
        np.multiply(better, where.dtype.type(j), out=better)
        np.maximum(chosen, better, out=chosen)
        np.maximum(best[:, v.out, u.out], candidate, out=best[:, v.out, u.out])


def _point_inside(where: Array, switches: Switches, block: Block) -> None:
    """Point every switch to the first position of its window outside the padding, for windows where all are −∞."""
    (_, kw), (sh, sw), (ph, pw) = switches.kernel, switches.stride, switches.padding
    where.fill(0)
    for column in range(min(-(-pw // sw), where.shape[2])):  # windows that start left of the map
        where[:, :, column] = pw - column * sw
    for row in range(block.r0, min(-(-ph // sh), block.r1)):  # … or above it
        where[:, row - block.r0] += where.dtype.type((ph - row * sh) * kw)


def _point_to_nan(switches: Switches, block: Block, y: Array, where: Array, x: Array) -> None:
    """Point the switch of every maximum that is NaN to the last NaN of its window.

    Parameters
    ----------
    switches : Switches
        For its sizes.
    block : Block
    y, where : (n, rows, ow, c)
        Maxima and switches of the block.
    x : (n, h, w, c)
        The images of the block.
    """
    if not y.size or y.max() == y.max():  # no NaN
        return
    for j, v, u in pool_taps(switches, block):
        chosen = where[:, v.out, u.out]
        value = x[:, v.source, u.source]
        chosen[...] = np.where(np.equal(value, value), chosen, where.dtype.type(j))  # NaN alone differs from itself


def _pool_2x2(x: Array, y: Array, switches: Switches, block: Block) -> None:
    """Compare the two rows of every window first, in long runs of memory, then the two remaining columns.

    ``lower`` holds for each column whether its second row won, ``right`` whether the second column won. The second
    column also wins a tie if its maximum is in the first row and the other one is in the second, because it then comes
    first in reading order.
    """
    images, rows = slice(block.n0, block.n1), slice(block.r0, block.r1)
    best, where = y[images, rows], switches.index[images, rows]
    width = 2 * best.shape[2]
    top = x[images, 2 * block.r0 : 2 * block.r1 : 2, :width]
    bottom = x[images, 2 * block.r0 + 1 : 2 * block.r1 : 2, :width]
    lower, tall = pooled_empty(x, top.shape, bool), pooled_empty(x, top.shape)
    np.greater(bottom, top, out=lower)
    np.maximum(top, bottom, out=tall)
    left_tall, right_tall = _by_column(tall)
    left_lower, right_lower = _by_column(lower)
    right, tie, row = (pooled_empty(x, best.shape, bool) for _ in range(3))
    np.greater(right_tall, left_tall, out=right)
    np.equal(right_tall, left_tall, out=tie)
    np.maximum(left_tall, right_tall, out=best)
    np.greater(left_lower, right_lower, out=row)
    np.logical_and(tie, row, out=tie)
    np.logical_or(right, tie, out=right)
    # row = lower of the winning column: (left ⊕ right) ∧ right column ⊕ left
    np.logical_xor(left_lower, right_lower, out=row)
    np.logical_and(row, right, out=row)
    np.logical_xor(row, left_lower, out=row)
    np.multiply(row.view(np.uint8), np.uint8(2), out=where)
    np.add(where, right.view(np.uint8), out=where)


def _by_column(x: Array) -> Array:
    """Separate the left and the right columns of all windows: (2, n, rows, ow, c)."""
    n, rows, width, c = x.shape
    halves = pooled_empty(x, (2, n, rows, width // 2, c))
    copy_pixels(x.reshape(n, rows, width // 2, 2, c).transpose(3, 0, 1, 2, 4), halves)
    return halves
