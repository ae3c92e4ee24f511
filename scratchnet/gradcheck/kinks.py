"""Which branch every kinked function took, rounding aside.

A max-pooling over a constant region chooses among equal values. Equal rows of one matrix product may differ in the last
bit, in a way that depends on the processor's BLAS kernel, and so would the choice. Such a choice is no kink: whichever
value is taken, the output and its slope are the same. So a pooling's decision is the *set* of positions that hold the
maximum up to rounding, and a ReLU's is whether its output is above rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from scratchnet.arrays import Array, to_host
from scratchnet.engine.cpu.blocks import Block
from scratchnet.gradcheck.report import Decisions
from scratchnet.layers import BatchNorm2d, Layer, MaxPool2d, ReLU
from scratchnet.layers.builtin import builtin_base
from scratchnet.layers.pooling import OBSERVER
from scratchnet.ops.pooling import Switches

ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Values that differ by less than this share of the map's largest are equal."""

Maxima = dict[int, Array]
"""For each pooling layer, by id, the positions of each window that hold its maximum: (kh·kw, n, oh, ow, c) booleans."""


def decisions(layer: Layer, maxima: Maxima) -> Decisions:
    """Return the branches of the last forward pass: ReLU masks and the positions of maxima."""
    if layer.saved is None:
        return []
    if isinstance(layer, ReLU):
        return [_positive(y) for y in layer.saved[:1] if _is_map(y)]
    if isinstance(layer, BatchNorm2d) and builtin_base(layer) is BatchNorm2d:  # others may keep anything
        positive = layer.positive()  # of a ReLU that is fused into it
        return [] if positive is None else [to_host(positive)]
    if isinstance(layer, MaxPool2d) and layer.switches is not None:
        chosen = maxima.get(id(layer), to_host(layer.switches.index))
        return [chosen, *(_positive(y) for y in layer.saved[1:] if _is_map(y))]  # y: see MaxPool2d.masks
    return []


@contextmanager
def watching_pools() -> Iterator[Maxima]:
    """Collect the maxima of every pooling that runs inside this block."""
    maxima: Maxima = {}

    def observe(layer: MaxPool2d, x: Array, y: Array) -> None:
        if layer.switches is not None:
            maxima[id(layer)] = _maxima(to_host(x), to_host(y), layer.switches)

    token = OBSERVER.set(observe)
    try:
        yield maxima
    finally:
        OBSERVER.reset(token)


def _maxima(x: Array, y: Array, switches: Switches) -> Array:
    n, oh, ow, c = y.shape
    threshold = y - ROUNDING * float(np.abs(y).max(initial=0))
    found = np.zeros((switches.kernel[0] * switches.kernel[1], n, oh, ow, c), bool)
    for j, v, u in switches.taps(Block(0, n, 0, oh, 0, ow)):
        found[j][:, v.out, u.out] = x[:, v.source, u.source] >= threshold[:, v.out, u.out]
    return found


def _is_map(value: object) -> bool:
    """Return whether it is an array of numbers; a layer of one's own may keep anything."""
    return getattr(getattr(value, "dtype", None), "kind", "") == "f"


def _positive(y: Array) -> Array:
    host = to_host(y)
    mask: Array = host > ROUNDING * float(np.abs(host).max(initial=0))
    return mask
