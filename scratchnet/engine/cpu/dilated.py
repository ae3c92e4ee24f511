"""Dilated convolution as ordinary convolutions on every d-th pixel.

    phase f of y = convolution of (phase f of x, padded)        phase f of x: x[f + d·u − p], u = 0, 1, …

A kernel whose taps are ``d`` pixels apart only combines pixels whose rows and columns differ by multiples of ``d``. So
the map splits into ``d·d`` *phases*, each made of every d-th pixel, and on each phase the convolution is an ordinary
one that can use Winograd's transform.

The phases are treated as additional images of the batch. Reordering the pixels costs one copy in each direction, which
is cheap compared with the saving: two to four times fewer multiplications.

Reference: Yu and Koltun, "Multi-scale context aggregation by dilated convolutions" (2016), for the convolution.
"""

from collections.abc import Sequence
from itertools import product

from scratchnet.arrays import Array
from scratchnet.engine.cpu import winograd
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_map
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import ConvSpec, Pair, tap


def convolve(
    x: Array,
    weight: Array,
    bias: Array | None,
    conv: ConvSpec,
    size: Pair,
    tile: int,
    flipped: bool = False,
    after: Epilogue | None = None,
) -> Array:
    """Return the convolution at stride 1 with a 3×3 kernel, ``(n, *size, c_out)``; see :func:`winograd.convolve`."""
    dh, dw = conv.dilation
    small, seen = _phase_sizes(conv, size)
    maps = winograd.convolve(_split(x, conv, conv.padding, seen), weight, bias, (0, 0), tile, flipped, after)
    y = pooled_empty(x, (len(x), *size, maps.shape[3]))
    phases = maps.reshape(dh, dw, len(x), *small, -1)

    def interleave(share: Sequence[Pair]) -> None:
        for f, g in share:
            target = y[:, f::dh, g::dw]
            target[...] = phases[f, g, :, : target.shape[1], : target.shape[2]]

    parallel_map(interleave, list(product(range(dh), range(dw))), OPERATIONS_PER_ELEMENT * y.size)
    return y


def weight_gradient(dy: Array, x: Array, conv: ConvSpec, tile: int) -> Array:
    """Return dW (3, 3, c_in, c_out) for :func:`convolve`: the sum over all phases."""
    small, seen = _phase_sizes(conv, dy.shape[1:3])
    gradients, maps = _split(dy, conv, (0, 0), small), _split(x, conv, conv.padding, seen)
    return winograd.weight_gradient(gradients, maps, (0, 0), tile)


def _phase_sizes(conv: ConvSpec, size: Pair) -> tuple[Pair, Pair]:
    """Return the largest size of a phase for an output of ``size``, and the size of the input that it reads."""
    h, w = -(-size[0] // conv.dilation[0]), -(-size[1] // conv.dilation[1])
    return (h, w), (h + 2, w + 2)


def _split(x: Array, conv: ConvSpec, padding: Pair, size: Pair) -> Array:
    """Return all phases as images of ``size``, with zeros outside ``x``: ``(d·d·n, *size, c)``."""
    n, h, w, c = x.shape
    dh, dw = conv.dilation
    phases = pooled_zeros(x, (dh, dw, n, *size, c))

    def copy(share: Sequence[Pair]) -> None:
        for f, g in share:
            v, u = tap(f, h, size[0], dh, padding[0]), tap(g, w, size[1], dw, padding[1])
            phases[f, g][:, v.out, u.out] = x[:, v.source, u.source]

    parallel_map(copy, list(product(range(dh), range(dw))), OPERATIONS_PER_ELEMENT * phases.size)
    maps: Array = phases.reshape(-1, *size, c)
    return maps
