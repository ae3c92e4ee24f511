"""Convolution with very few output channels: multiply first, shift afterwards.

    z[n, v, u, (i, j, b)] = Σ_a x[n, v, u, a] · w[i, j, a, b]
    y[n, o, q, b] = Σ_{i, j} z[n, o + i − p, q + j − p, (i, j, b)]

im2col copies every input value ``kh·kw`` times, which pays off if many filters use the copy. With one or two filters
the copy dominates the cost. So here one matrix product, without a copy, multiplies every pixel by all ``kh·kw·c_out``
weights, and the few results are shifted and summed.

The gradient with respect to the weight copies the few channels of dy instead of the many channels of x.
"""

from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.blocks import Block, row_blocks
from scratchnet.engine.cpu.im2col import columns
from scratchnet.engine.cpu.threads import parallel_for, parallel_map, thread_count
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.ops.geometry import ConvSpec, Pair, tap

SCRATCH_BYTES = 2 << 20
"""Size of the products that are held at one time."""


def convolve(x: Array, weight: Array, conv: ConvSpec, size: Pair) -> Array:
    """Return the convolution without bias, ``(n, *size, c_out)``, at stride 1 and without groups."""
    kh, kw, c, c_out = weight.shape
    h, w = x.shape[1:3]
    y = pooled_zeros(x, (len(x), *size, c_out))
    matrix = weight.transpose(2, 0, 1, 3).reshape(c, -1)  # (c, kh·kw·c_out)

    def add(block: Block) -> None:
        first = max(0, block.r0 - conv.padding[0])
        last = min(h, block.r1 - 1 - conv.padding[0] + conv.dilation[0] * (kh - 1) + 1)
        if last <= first:  # a block that contains only padding
            return
        products = pooled_empty(x, (block.n1 - block.n0, last - first, w, kh, kw, c_out))
        pixels = x[block.n0 : block.n1, first:last]
        np.matmul(pixels.reshape(-1, c), matrix, out=products.reshape(-1, matrix.shape[1]))
        target = y[block.n0 : block.n1, block.r0 : block.r1]
        for i in range(kh):
            v = tap(i * conv.dilation[0], h, block.r1 - block.r0, 1, conv.padding[0], block.r0)
            rows = slice(v.source.start - first, v.source.stop - first)
            for j in range(kw):
                u = tap(j * conv.dilation[1], w, size[1], 1, conv.padding[1])
                part = target[:, v.out, u.out]
                part += products[:, rows, u.source, i, j]

    parallel_for(add, _blocks(y.shape, weight), y.size * weight[..., 0].size)
    return y


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> Array:
    """Return dW = xᵀ · columns(dy), rotated by 180°; of ``weight`` only the shape is used."""
    kh, kw, c, c_out = weight.shape
    back = conv.adjoint()

    def multiply(share: Sequence[Block]) -> Array:
        total = pooled_zeros(x, (c, kh * kw * c_out))
        for block in share:
            pixels = x[block.n0 : block.n1, block.r0 : block.r1].reshape(-1, c)
            total += np.matmul(pixels.T, columns(dy, back, block)[0])
        return total

    total, *others = parallel_map(multiply, _blocks(x.shape, weight), dy.size * weight[..., 0].size)
    for other in others:
        total += other
    dweight: Array = total.reshape(c, kh, kw, c_out)[:, ::-1, ::-1].transpose(1, 2, 0, 3)
    return dweight


def _blocks(shape: tuple[int, ...], weight: Array) -> list[Block]:
    """Cut a map into blocks of whole rows whose products fit into the scratch memory."""
    n, h, w, _ = shape
    pixels = SCRATCH_BYTES // (weight[:, :, 0].size * 4)
    return row_blocks(n, h, w, pixels // w, thread_count())
