"""Convolution with a large kernel as a sum of 3×3 convolutions, so that Winograd's transform can be used.

    y[o] = Σ_i x[o + i − p] · w[i] = Σ_r Σ_{i < 3} x[o + 3r + i − p] · w[3r + i]        (one axis)

Padded with zeros to a multiple of three, a 7×7 kernel consists of nine 3×3 kernels. Each of them reads the map shifted
by a multiple of three pixels, and the convolution is the sum of the nine.

Multiplying the padding is wasted work, but a 3×3 convolution in Winograd's form takes no longer than five taps of the
direct sum, so it pays off for pieces with more taps.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu import winograd
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.ops.geometry import ConvSpec, Pair, tap


def convolve(x: Array, weight: Array, bias: Array | None, conv: ConvSpec, size: Pair, tile: int) -> Array:
    """Return the convolution at stride 1, ``(n, *size, c_out)``; see :func:`winograd.conv3x3`."""
    kernels = pooled_zeros(weight, (*_grown(conv), *weight.shape[2:]))
    kernels[: conv.kernel[0], : conv.kernel[1]] = weight
    y: Array | None = None
    for rows, columns, seen in _pieces(x, conv, size):
        kernel = pooled_empty(weight, (3, 3, *weight.shape[2:]))
        kernel[...] = kernels[rows, columns]
        if y is None:
            y = winograd.conv3x3(seen, kernel, bias, (0, 0), tile)
        else:
            parallel_rows(lambda y, term: np.add(y, term, out=y), y, winograd.conv3x3(seen, kernel, None, (0, 0), tile))
    assert y is not None
    return y


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec, tile: int) -> Array:
    """Return dW for :func:`convolve`, piece by piece; of ``weight`` only the shape is used."""
    dweight = pooled_empty(weight, (*_grown(conv), *weight.shape[2:]))
    for rows, columns, seen in _pieces(x, conv, dy.shape[1:3]):
        dweight[rows, columns] = winograd.conv3x3_weight_gradient(dy, seen, (0, 0), tile)
    return dweight[: conv.kernel[0], : conv.kernel[1]].copy()


def _grown(conv: ConvSpec) -> Pair:
    """Return the size of the kernel, rounded up to a multiple of three."""
    return -(-conv.kernel[0] // 3) * 3, -(-conv.kernel[1] // 3) * 3


def _pieces(x: Array, conv: ConvSpec, size: Pair) -> Iterator[tuple[slice, slice, Array]]:
    """Yield the rows and columns of every 3×3 piece of the kernel, and the part of the padded map that it reads."""
    kh, kw = _grown(conv)
    padded = pooled_zeros(x, (len(x), size[0] + kh - 1, size[1] + kw - 1, x.shape[3]))
    v = tap(0, x.shape[1], padded.shape[1], 1, conv.padding[0])
    u = tap(0, x.shape[2], padded.shape[2], 1, conv.padding[1])
    padded[:, v.out, u.out] = x[:, v.source, u.source]
    for r, s in product(range(0, kh, 3), range(0, kw, 3)):
        yield slice(r, r + 3), slice(s, s + 3), padded[:, r : r + size[0] + 2, s : s + size[1] + 2]
