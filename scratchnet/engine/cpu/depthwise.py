"""Depthwise convolution: every channel has its own kernel, and channels are not mixed.

It involves no matrix product, only ``kh·kw`` multiplications per output. ``einsum`` multiplies and adds in one pass
over an output, where ``multiply`` and ``add`` take two. It is fast along long contiguous runs, and ``c`` values are a
short one. So every tap's values are repeated for a row of pixels, and a few rows of the input are copied to scratch
memory that stays in the cache, with zeros around them: a tap then multiplies whole rows of ``w·c`` values.

At a horizontal stride of s, the copy sorts the columns by their remainder modulo s. The columns that a tap reads are
adjacent again, and taps of the same remainder form an ordinary small kernel, one ``einsum`` each. The input gradient at
larger strides is the same in reverse: the pixels of every pair of remainders get an ordinary convolution of dy.

Reference: Howard et al., "MobileNets" (2017), section 3.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture import record_call
from scratchnet.engine.cpu.blocks import Block, row_blocks
from scratchnet.engine.cpu.channel_sums import sum_groups
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for, parallel_map, thread_count
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.engine.memory_layout import copy_pixels, row_of
from scratchnet.ops.geometry import ConvSpec, Pair, tap

CHUNK_BYTES = 1 << 20
"""Size of the rows that are processed together, and of the repeated kernels."""


@dataclass(frozen=True)
class Phase:
    """The taps of one axis that read pixels of the same remainder modulo the stride.

    Attributes
    ----------
    taps : slice
        These taps.
    count : int
        Their number.
    first : int
        Offset of the first one, in pixels.
    step : int
        Distance of two neighbours, in pixels divided by the stride.
    """

    taps: slice
    count: int
    first: int
    step: int


def phases(kernel: int, stride: int, dilation: int) -> list[Phase]:
    """Group the taps of one axis, offsets ``j·dilation``, by their remainder modulo the stride."""
    groups: dict[int, list[int]] = {}
    for j in range(kernel):
        groups.setdefault(j * dilation % stride, []).append(j)
    found = []
    for taps in groups.values():
        every = taps[1] - taps[0] if len(taps) > 1 else 1
        found.append(
            Phase(
                slice(taps[0], taps[-1] + 1, every), len(taps), taps[0] * dilation, max(1, every * dilation // stride)
            )
        )
    return found


def convolve(x: Array, weight: Array, conv: ConvSpec, size: Pair, bias: Array | None = None) -> Array:
    """Return the convolution, ``(n, *size, c)``: the sum over all taps of shifted x · w, and the bias."""
    y = pooled_empty(x, (len(x), *size, x.shape[3]))
    _convolve_to(y, x, weight, conv, bias)
    return y


def _convolve_to(y: Array, x: Array, weight: Array, conv: ConvSpec, bias: Array | None = None) -> None:
    """Write the convolution to ``y``, whose pixels may be strided; the padding may be negative."""
    columns = _columns(y, conv)
    kernels = [(phase, _rows(weight[:, phase.taps], columns)) for phase in _horizontal(conv)]
    shift = None if bias is None else row_of(bias, columns).reshape(columns, -1)
    adjacent = y.strides[2] == x.shape[3] * y.itemsize

    def add(block: Block) -> None:
        part = y[block.n0 : block.n1, block.r0 : block.r1, block.c0 : block.c1]
        sums = part if adjacent else pooled_empty(x, part.shape)
        for k, (phase, rows) in enumerate(kernels):
            term = pooled_empty(x, part.shape) if k else sums
            patches = _patches(x, conv, phase, block)
            target = term.reshape(*term.shape[:2], -1)
            _sum_products("nrijk,ijk->nrk", patches, rows[:, :, : target.shape[2]], target)
            if k:
                np.add(sums, term, out=sums)
        if shift is not None:
            np.add(sums, shift[: sums.shape[2]], out=sums)
        if not adjacent:
            copy_pixels(sums, part)

    parallel_for(add, _blocks(y, columns), _operations(y, conv))


def input_gradient(dy: Array, weight: Array, size: Pair, conv: ConvSpec) -> Array:
    """Return dx ``(n, *size, c)``: every tap adds dy · w to the pixels that it read."""
    vertical, horizontal = (phases(*axis) for axis in zip(conv.kernel, conv.stride, conv.dilation, strict=True))
    covered = len(vertical) * len(horizontal) == conv.stride[0] * conv.stride[1]
    dx = (pooled_empty if covered else pooled_zeros)(dy, (len(dy), *size, dy.shape[3]))
    for both in product(vertical, horizontal):
        start, padding = zip(*map(_adjoint, both, conv.stride, conv.padding), strict=True)
        pixels = dx[:, start[0] :: conv.stride[0], start[1] :: conv.stride[1]]
        if pixels.size:
            kernel = weight[both[0].taps, both[1].taps][::-1, ::-1]
            steps = both[0].step, both[1].step
            _convolve_to(pixels, dy, kernel, ConvSpec(kernel.shape[:2], (1, 1), padding, steps, conv.groups))
    return dx


def _adjoint(phase: Phase, stride: int, padding: int) -> tuple[int, int]:
    """Return the first pixel that a phase reads, and the padding of the convolution of dy that is its gradient.

    The pixel at ``m·stride + first − padding`` is read by outputs m, m − step, …
    """
    m = -(-(padding - phase.first) // stride)
    return m * stride + phase.first - padding, phase.step * (phase.count - 1) - m


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> Array:
    """Return dW: for every tap the sum over all pixels of shifted x · dy; only the shape of ``weight`` is used."""
    c, columns = x.shape[3], _columns(dy, conv)

    def multiply(share: Sequence[Block]) -> Array:
        total = pooled_zeros(x, weight.shape)
        for block in share:
            part = dy[block.n0 : block.n1, block.r0 : block.r1, block.c0 : block.c1]
            for phase in _horizontal(conv):
                width = part.shape[2]
                rows = pooled_empty(x, (conv.kernel[0], phase.count, width * c))
                patches = _patches(x, conv, phase, block)
                for i in range(conv.kernel[0]):  # one call for all kernel rows takes twice as long
                    _sum_products("nrjk,nrk->jk", patches[:, :, i], part.reshape(*part.shape[:2], -1), rows[i])
                sums = pooled_empty(x, (conv.kernel[0], phase.count, c))
                sum_groups(rows.reshape(-1, width, c), sums.reshape(-1, c))
                total[:, phase.taps, 0] += sums
        return total

    total, *others = parallel_map(multiply, _blocks(dy, columns), _operations(dy, conv))
    for other in others:
        total += other
    return total


def _horizontal(conv: ConvSpec) -> list[Phase]:
    return phases(conv.kernel[1], conv.stride[1], conv.dilation[1])


def _patches(x: Array, conv: ConvSpec, phase: Phase, block: Block) -> Array:
    """View what the taps of a phase read for a block, (n, rows, kh, taps, columns·c), in a copy with zeros around it.

    Nothing is copied where no zeros are needed and the columns are adjacent.
    """
    (kh, _), (sh, sw), (dh, _) = conv.kernel, conv.stride, conv.dilation
    images, rows, columns = block.n1 - block.n0, block.r1 - block.r0, block.c1 - block.c0
    height, width = (rows - 1) * sh + (kh - 1) * dh + 1, columns + phase.step * (phase.count - 1)
    v = tap(0, x.shape[1], height, 1, conv.padding[0] - block.r0 * sh)
    u = tap(phase.first, x.shape[2], width, sw, conv.padding[1], block.c0)
    source = x[block.n0 : block.n1, v.source, u.source]
    if sw > 1 or source.shape[1:3] != (height, width):
        padded = pooled_empty(x, (images, height, width, x.shape[3]))
        _fill_around(padded, v.out, u.out)
        copy_pixels(source, padded[:, v.out, u.out])
        source = padded
    image, row, pixel, value = source.strides
    return np.lib.stride_tricks.as_strided(
        source,
        (images, rows, kh, phase.count, columns * x.shape[3]),
        (image, sh * row, dh * row, phase.step * pixel, value),
        subok=True,
    )


def _fill_around(padded: Array, v: slice, u: slice) -> None:
    """Write zeros everywhere but to the rows ``v`` and the columns ``u``."""
    for border in (padded[:, : v.start], padded[:, v.stop :], padded[:, v, : u.start], padded[:, v, u.stop :]):
        if border.size:
            border.fill(0)


def _sum_products(subscripts: str, a: Array, b: Array, out: Array) -> None:
    record_call(partial(_einsum, subscripts), a, b, out)


def _einsum(subscripts: str, a: Array, b: Array, out: Array) -> None:
    np.einsum(subscripts, a, b, out=out)


def _rows(weight: Array, w: int) -> Array:
    """Repeat every tap's values for ``w`` pixels, (kh, kw, w·c), so that a row of pixels is multiplied in one run.

    With only c values the inner loop would restart at every pixel, which costs as much as the multiplication.
    """
    rows = pooled_empty(weight, (*weight.shape[:2], w, weight.shape[3]))
    rows[...] = weight
    return rows.reshape(*weight.shape[:2], -1)


def _columns(y: Array, conv: ConvSpec) -> int:
    """Return the number of columns to process together: a row, unless the repeated kernels outgrow the cache."""
    pixel = conv.kernel[0] * conv.kernel[1] * y.shape[3] * y.itemsize
    return int(min(y.shape[2], max(1, CHUNK_BYTES // pixel)))


def _blocks(y: Array, columns: int) -> list[Block]:
    """Cut a map into blocks of rows and at most ``columns`` columns, at least one per core if there are enough rows."""
    n, h, w, c = y.shape
    rows = max(1, CHUNK_BYTES // (columns * c * y.itemsize))
    found = row_blocks(n, h, w, rows, thread_count())
    return [replace(block, c0=first, c1=min(w, first + columns)) for block in found for first in range(0, w, columns)]


def _operations(y: Array, conv: ConvSpec) -> int:
    return OPERATIONS_PER_ELEMENT * y.size * conv.kernel[0] * conv.kernel[1] // 2
