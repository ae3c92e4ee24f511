"""The gradient of a strided convolution with respect to its input, as interleaved small convolutions.

    dx[s·u + f] = Σ_k dy[u + b − k] · w[a + s·k]        a = (f + p) mod s,  b = ⌊(f + p) / s⌋

The textbook method adds every kernel tap to the map one by one (col2im) and so writes each output pixel ``(k/s)²``
times. However, which taps reach an output pixel depends only on its position modulo the stride. So all output pixels
of one *phase* f form an ordinary convolution of dy, at stride 1, with every s-th tap of the kernel.

Phases that share b and the number of taps are computed by one matrix product, and each pixel is written once. A 4×4
kernel at stride 2 becomes four 2×2 convolutions. If the windows neither overlap nor leave gaps, as with a 2×2 kernel at
stride 2, the whole gradient is one product with the kernel as it lies in memory.

Reference: Shi et al., "Is the deconvolution layer the same as a convolutional layer?" (2016).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu import im2col
from scratchnet.engine.cpu.blocks import Block, blocks
from scratchnet.engine.cpu.im2col import MIN_ROWS, SCRATCH_BYTES
from scratchnet.engine.cpu.threads import parallel_for, thread_count
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.engine.memory_layout import copy_pixels
from scratchnet.ops.geometry import ConvSpec, Pair


@dataclass(frozen=True)
class Phases:
    """Adjacent positions modulo the stride, along one axis, that depend on the same pixels of dy.

    Attributes
    ----------
    first, count : int
        The phases ``first … first + count − 1``.
    start : int
        First kernel tap of the first phase, a.
    taps : int
        Taps of each phase.
    shift : int
        b
    """

    first: int
    count: int
    start: int
    taps: int
    shift: int


def input_gradient(dy: Array, weight: Array, size: Pair, conv: ConvSpec) -> Array:
    """Return dx ``(n, *size, c_in)`` for a convolution of one group without dilation."""
    (sh, sw), c = conv.stride, weight.shape[2]
    n = len(dy)
    if conv.kernel == conv.stride and conv.padding == (0, 0) and tuple(size) == (dy.shape[1] * sh, dy.shape[2] * sw):
        return _adjacent_windows(dy, weight)
    whole = (-(-size[0] // sh), -(-size[1] // sw))  # pixels of every phase; the last ones may hang over
    fits = (whole[0] * sh, whole[1] * sw) == tuple(size)
    covered = min(conv.kernel[0] - sh, conv.kernel[1] - sw) >= 0  # every phase has a tap
    dx = (pooled_empty if covered else pooled_zeros)(dy, (n, whole[0] * sh, whole[1] * sw, c))
    grid = dx.reshape(n, whole[0], sh, whole[1], sw, c)
    for down, across in product(_phases(conv, 0), _phases(conv, 1)):
        kernel = _kernel(weight, conv.stride, down, across)
        before = (down.taps - 1 - down.shift, across.taps - 1 - across.shift)
        small = ConvSpec((down.taps, across.taps), (1, 1), before, (1, 1), 1)
        maps = im2col.convolve(dy, kernel, small, whole).reshape(n, *whole, down.count, across.count, c)
        target = grid[:, :, down.first : down.first + down.count, :, across.first : across.first + across.count]
        target[...] = maps.transpose(0, 1, 3, 2, 4, 5)
    return dx if fits else dx[:, : size[0], : size[1]].copy()


def _adjacent_windows(dy: Array, weight: Array) -> Array:
    """Return dx if every pixel belongs to one window: one product with the kernel as it lies in memory.

    The cores share the blocks of windows, or the rows of the kernel if there are few windows.
    """
    (n, oh, ow, c_out), (kh, kw, c, _) = dy.shape, weight.shape
    dx = pooled_empty(dy, (n, oh * kh, ow * kw, c))
    grid = dx.reshape(n, oh, kh, ow, kw, c)
    few = n * oh * ow < MIN_ROWS
    groups = [slice(i, i + 1) for i in range(kh)] if few else [slice(0, kh)]
    limit = max(1, SCRATCH_BYTES // (kh * kw * c * dy.itemsize))
    parts = blocks(n, oh, ow, limit, 1 if few else thread_count())

    def multiply(item: tuple[Block, slice]) -> None:
        block, rows = item
        part = dy[block.n0 : block.n1, block.r0 : block.r1, block.c0 : block.c1]
        matrix = weight[rows].reshape(-1, c_out)
        products = pooled_empty(dy, (*part.shape[:3], rows.stop - rows.start, kw, c))
        np.matmul(part.reshape(-1, c_out), matrix.T, out=products.reshape(-1, len(matrix)))
        target = grid[block.n0 : block.n1, block.r0 : block.r1, rows, block.c0 : block.c1]
        copy_pixels(products.transpose(0, 1, 3, 2, 4, 5), target)

    parallel_for(multiply, [(part, rows) for part in parts for rows in groups], dy.size * kh * kw * c)
    return dx


def _phases(conv: ConvSpec, axis: int) -> Iterator[Phases]:
    """Group the phases of one axis that share a matrix product; skip phases without taps."""
    k, s, p = conv.kernel[axis], conv.stride[axis], conv.padding[axis]
    found: list[Phases] = []
    for f in range(s):
        start, shift = (f + p) % s, (f + p) // s
        taps = len(range(start, k, s))
        last = found[-1] if found else None
        if last and (last.taps, last.shift, last.first + last.count) == (taps, shift, f):
            found[-1] = Phases(last.first, last.count + 1, last.start, taps, shift)
        else:
            found.append(Phases(f, 1, start, taps, shift))
    return (phases for phases in found if phases.taps)


def _kernel(weight: Array, stride: Pair, down: Phases, across: Phases) -> Array:
    """Return the taps of all phases of a group as one kernel: (taps, taps, c_out, phases · phases · c_in)."""

    def taps(axis: int, phases: Phases, f: int) -> slice:
        start = phases.start + f
        return slice(start, start + (phases.taps - 1) * stride[axis] + 1, stride[axis])

    kernel: Array = np.stack(
        [
            np.stack([weight[taps(0, down, i), taps(1, across, j)] for j in range(across.count)], axis=2)
            for i in range(down.count)
        ],
        axis=2,
    )  # (taps, taps, phases, phases, c_in, c_out)
    flipped: Array = kernel[::-1, ::-1].transpose(0, 1, 5, 2, 3, 4)
    return flipped.reshape(down.taps, across.taps, weight.shape[3], -1)
