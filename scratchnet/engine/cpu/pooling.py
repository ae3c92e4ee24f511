"""Max-pooling, block by block on all cores: the position of a maximum is computed with comparisons, not with argmax.

Comparisons and maxima of two arrays run over long runs of memory, and every one of them can be replayed. Windows
of 2×2 pixels without padding have a form of their own: their switches follow from the maxima. Unpooling is in
``unpooling``.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture import record_call
from scratchnet.engine.cpu.blocks import Block
from scratchnet.engine.cpu.pool_windows import pool_blocks, pool_taps
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for
from scratchnet.engine.cpu.unpooling import max_pool2d_backward, max_unpool2d, max_unpool2d_backward
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.pooling_outputs import empty_outputs
from scratchnet.ops.geometry import Pair, Tap
from scratchnet.ops.switches import Switches

__all__ = ["max_pool2d", "max_pool2d_backward", "max_unpool2d", "max_unpool2d_backward"]


def max_pool2d(
    x: Array, kernel: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0, ceil_mode: bool = False
) -> tuple[Array, Switches]:
    """Return the maximum of every window and its position."""
    y, switches = empty_outputs(x, kernel, stride, padding, ceil_mode)
    k, s, p = switches.kernel, switches.stride, switches.padding
    complete = all(2 * count <= total for count, total in zip(y.shape[1:3], switches.size, strict=True))
    pool = _pool_2x2 if k == s == (2, 2) and p == (0, 0) and complete else _pool

    def work(block: Block) -> None:
        pool(x, y, switches, block)
        here = slice(block.n0, block.n1), slice(block.r0, block.r1)
        taps = pool_taps(switches, block)  # a recorded call must not keep the switches alive
        record_call(partial(_point_to_nan, taps), y[here], switches.index[here], x[block.n0 : block.n1])

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


def _point_to_nan(taps: Sequence[tuple[int, Tap, Tap]], y: Array, where: Array, x: Array) -> None:
    """Point the switch of every maximum that is NaN to the last NaN of its window.

    Parameters
    ----------
    taps : sequence
        Those of :func:`pool_taps` for the block.
    y, where : (n, rows, ow, c)
        Maxima and switches of the block.
    x : (n, h, w, c)
        The images of the block.
    """
    if not np.isnan(y.max(initial=-np.inf)):
        return
    for j, v, u in taps:
        chosen = where[:, v.out, u.out]
        value = x[:, v.source, u.source]
        chosen[...] = np.where(np.equal(value, value), chosen, where.dtype.type(j))  # NaN alone differs from itself


def _pool_2x2(x: Array, y: Array, switches: Switches, block: Block) -> None:
    """Take the maxima of row pairs first, in long runs of memory, then of column pairs, and look for the first maximum.

    ``differs`` holds for the first three pixels of every window whether they are smaller than the maximum. A pixel
    counts if all before it differ as well, and the number of pixels that count is the switch.
    """
    images, rows = slice(block.n0, block.n1), slice(block.r0, block.r1)
    best, where = y[images, rows], switches.index[images, rows]
    n, height, ow, c = best.shape
    pixels = x[images, 2 * block.r0 : 2 * block.r1, : 2 * ow].reshape(n, height, 2, ow, 2, c)
    tall = pooled_empty(x, (n, height, ow, 2, c))
    np.maximum(pixels[:, :, 0], pixels[:, :, 1], out=tall)
    np.maximum(tall[:, :, :, 0], tall[:, :, :, 1], out=best)
    differs = pooled_empty(x, (3, *best.shape), bool)
    for j, smaller in enumerate(differs):
        np.not_equal(pixels[:, :, j // 2, :, j % 2], best, out=smaller)
        if j:
            np.logical_and(smaller, differs[j - 1], out=smaller)
    first, second, third = differs.view(np.uint8)
    np.add(first, second, out=where)
    np.add(where, third, out=where)
