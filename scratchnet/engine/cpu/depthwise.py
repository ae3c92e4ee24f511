"""Depthwise convolution: every channel has its own kernel, and channels are not mixed.

It involves no matrix product, only ``kh·kw`` multiplications per output. So it is computed as shifted multiplications
of whole maps, one per kernel tap, a few rows at a time so that they stay in the cache. Each tap's values are first
repeated for a whole row of pixels, because NumPy is fast along long contiguous runs and ``c`` values are a short one.

Reference: Howard et al., "MobileNets" (2017), section 3.1.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.blocks import Block, blocks
from scratchnet.engine.cpu.channel_sums import sum_rows
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for, parallel_map, thread_count
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.ops.geometry import ConvSpec, Pair, Tap, tap

CHUNK_BYTES = 1 << 19
"""Size of the rows that are processed together."""


def convolve(x: Array, weight: Array, conv: ConvSpec, size: Pair) -> Array:
    """Return the convolution without bias, ``(n, *size, c)``: the sum over all taps of shifted x · w."""
    y = pooled_empty(x, (len(x), *size, x.shape[3]))
    rows = _rows(weight, size[1])

    def add(block: Block) -> None:
        part = y[block.n0 : block.n1, block.r0 : block.r1]
        taps = list(_taps(conv, x.shape, block))
        whole = [k for k, (_, _, v, u) in enumerate(taps) if part[:, v.out, u.out].shape == part.shape]
        if whole:  # a tap that reaches every pixel writes them, the others add
            taps.insert(0, taps.pop(whole[0]))
        else:
            part.fill(0)
        scratch = pooled_empty(x, part.shape)
        for k, (i, j, v, u) in enumerate(taps):
            target = part[:, v.out, u.out]
            term = scratch[:, v.out, u.out] if k or not whole else target
            source = x[block.n0 : block.n1, v.source, u.source]
            np.multiply(source, rows[i, j, : source.shape[2]], out=term)
            if term is not target:
                target += term

    parallel_for(add, _blocks(y), _operations(y, conv))
    return y


def input_gradient(dy: Array, weight: Array, size: Pair, conv: ConvSpec) -> Array:
    """Return dx ``(n, *size, c)``: every tap adds dy · w to the pixels that it read."""
    if conv.stride == (1, 1):  # dx is then a convolution of dy with the rotated kernel
        return convolve(dy, weight[::-1, ::-1], conv.adjoint(), size)
    dx = pooled_zeros(dy, (len(dy), *size, dy.shape[3]))
    rows = _rows(weight, dy.shape[2])

    def add(share: Sequence[int]) -> None:  # the rows that two blocks read overlap: one image, one core
        for n in share:
            for block in blocks(1, dy.shape[1], dy.shape[2], _limit(dy)):
                part = dy[n : n + 1, block.r0 : block.r1]
                scratch = pooled_empty(dy, part.shape)
                for i, j, v, u in _taps(conv, dx.shape, block):
                    gradients, term = part[:, v.out, u.out], scratch[:, v.out, u.out]
                    np.multiply(gradients, rows[i, j, : gradients.shape[2]], out=term)
                    target = dx[n : n + 1, v.source, u.source]
                    target += term

    parallel_map(add, range(len(dy)), _operations(dy, conv))
    return dx


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> Array:
    """Return dW: for every tap the sum over all pixels of shifted x · dy; only the shape of ``weight`` is used."""
    c = x.shape[3]

    def multiply(share: Sequence[Block]) -> Array:
        total, sums = pooled_zeros(x, weight.shape), pooled_empty(x, (c,))
        for block in share:
            part = dy[block.n0 : block.n1, block.r0 : block.r1]
            for i, j, v, u in _taps(conv, x.shape, block):
                gradients = part[:, v.out, u.out]
                term = pooled_empty(x, gradients.shape)
                np.multiply(x[block.n0 : block.n1, v.source, u.source], gradients, out=term)
                sum_rows(term.reshape(-1, c), sums)
                total[i, j, 0] += sums
        return total

    total, *others = parallel_map(multiply, _blocks(dy), _operations(dy, conv))
    for other in others:
        total += other
    return total


def _rows(weight: Array, w: int) -> Array:
    """Repeat every tap's values for ``w`` pixels, (kh, kw, w, c), so that NumPy multiplies a row of pixels in one run.

    With only c values the inner loop would restart at every pixel, which costs as much as the multiplication.
    """
    rows = pooled_empty(weight, (*weight.shape[:2], w, weight.shape[3]))
    rows[...] = weight
    return rows


def _taps(conv: ConvSpec, shape: tuple[int, ...], block: Block) -> Iterator[tuple[int, int, Tap, Tap]]:
    """Yield every kernel tap with the rows and columns of the block and of the input (n, h, w, c) that it connects."""
    for i in range(conv.kernel[0]):
        v = tap(i * conv.dilation[0], shape[1], block.r1 - block.r0, conv.stride[0], conv.padding[0], block.r0)
        for j in range(conv.kernel[1]):
            u = tap(j * conv.dilation[1], shape[2], block.c1, conv.stride[1], conv.padding[1])
            yield i, j, v, u


def _limit(y: Array) -> int:
    """Return the number of pixels to process together: whole rows."""
    _, _, w, c = y.shape
    rows: int = max(1, CHUNK_BYTES // (w * c * y.itemsize))
    return int(w * rows)


def _blocks(y: Array) -> list[Block]:
    """Cut a map into blocks of whole rows, at least one per core if there are enough rows."""
    n, h, w, _ = y.shape
    return blocks(n, h, w, max(w, min(_limit(y), -(-n * h // thread_count()) * w)))


def _operations(y: Array, conv: ConvSpec) -> int:
    return OPERATIONS_PER_ELEMENT * y.size * conv.kernel[0] * conv.kernel[1] // 4
