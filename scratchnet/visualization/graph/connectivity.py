"""Connections between the output and input pixels of every layer.

Every layer follows the same rule along each axis. Index o of the small map and kernel position i correspond to index

    o·s + i·d − p        i = 0 … k − 1

of the large map (stride s, dilation d, padding p). In a convolution or a pooling the output is the small map, so output
o looks at k inputs, d apart; in a transposed convolution or an unpooling the input is the small map, so it is the other
way round. ReLU, batch norm, crops and the like are the case k = s = 1, a crop with a negative padding.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.layers import (
    BedOfNails,
    BilinearTranspose2d,
    Conv2d,
    ConvTranspose2d,
    Crop,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    UpsampleBilinear,
    UpsampleNearest,
)
from scratchnet.layers.base import Shape
from scratchnet.layers.builtin import builtin_base
from scratchnet.network import Network, Step
from scratchnet.ops.geometry import Pair, tap


@dataclass(frozen=True)
class Link:
    """Connection between a step's output and one of its inputs; see the module docstring.

    Attributes
    ----------
    source : str
        Name of the input value.
    kernel, stride, padding, dilation : (vertical, horizontal)
    transposed : bool
        Whether the input is the small map.
    """

    source: str
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    transposed: bool = False

    def back(self, marked: Array, axis: int, size: int) -> Array:
        """Return which of ``size`` input indices the marked output indices depend on, (size,) bool."""
        return self._carry(marked, axis, size, to_large=not self.transposed)

    def forth(self, marked: Array, axis: int, size: int) -> Array:
        """Return which of ``size`` output indices depend on any marked input index, (size,) bool."""
        return self._carry(marked, axis, size, to_large=self.transposed)

    def _carry(self, marked: Array, axis: int, size: int, to_large: bool) -> Array:
        found = np.zeros(size, bool)
        small, large = (len(marked), size) if to_large else (size, len(marked))
        for i in range(self.kernel[axis]):
            place = tap(i * self.dilation[axis], large, small, self.stride[axis], self.padding[axis])
            if to_large:
                found[place.source] |= marked[place.out]
            else:
                found[place.out] |= marked[place.source]
        return found


class Middle(NamedTuple):
    """Position of a map over the image along one axis: the centre of pixel i is at ``start + jump·i``."""

    start: float
    jump: float


def links(net: Network, size: Pair) -> dict[str, list[Link]]:
    """Return the links of every step to its inputs, for an input of ``size`` (h, w).

    The switches of a pooling, ``NAME.switches``, are listed as a separate value. A map that only gives its size to
    a crop is omitted.
    """
    shapes = net.shapes(size)
    pools = {f"{s.name}.switches": s.layer for s in net.steps if isinstance(s.layer, MaxPool2d)}
    found: dict[str, list[Link]] = {}
    for step in net.steps:
        found[step.name] = _links(step, shapes, pools)
        if isinstance(step.layer, MaxPool2d):
            found[f"{step.name}.switches"] = found[step.name]
    return found


def middles(net: Network, size: Pair) -> dict[str, tuple[Middle, Middle]]:
    """Return the image positions of the rows and columns of every value.

    For steps with several inputs the last one counts: a skip or the switches, which come from a shallower map and are
    positioned more exactly.
    """
    found = {"input": (Middle(0.0, 1.0), Middle(0.0, 1.0))}
    for name, (*_, last) in links(net, size).items():
        rows, columns = found[last.source]
        found[name] = (_middle(rows, last, 0), _middle(columns, last, 1))
    return found


def _middle(before: Middle, link: Link, axis: int) -> Middle:
    reach = link.dilation[axis] * (link.kernel[axis] - 1) / 2 - link.padding[axis]
    stride = link.stride[axis]
    if link.transposed:
        return Middle(before.start - before.jump * reach / stride, before.jump / stride)
    return Middle(before.start + before.jump * reach, before.jump * stride)


def _links(step: Step, shapes: dict[str, Shape], pools: dict[str, MaxPool2d]) -> list[Link]:
    layer, first = step.layer, step.inputs[0]
    if builtin_base(layer) is None:
        raise ValueError(
            f"step '{step.name}': which pixels a {type(layer).__name__} sees is not known; receptive fields can be "
            "found for the package's own layers only"
        )
    if isinstance(layer, MaxUnpool2d):
        pool = pools[step.inputs[1]]
        return [Link(name, pool.kernel, pool.stride, pool.padding, transposed=True) for name in step.inputs]
    if isinstance(layer, Crop):
        top, left = layer.begin(shapes[first], shapes[step.inputs[1]])
        return [Link(first, padding=(-top, -left))]
    return [_link(step, name) for name in step.inputs]


def _link(step: Step, source: str) -> Link:
    match step.layer:
        case Conv2d() | ConvTranspose2d() as layer:
            transposed = isinstance(layer, ConvTranspose2d)
            link = Link(source, layer.kernel, layer.stride, layer.padding, layer.dilation, transposed)
        case MaxPool2d() as layer:
            link = Link(source, layer.kernel, layer.stride, layer.padding)
        case BedOfNails() as layer:
            link = Link(source, stride=layer.scale, transposed=True)
        case UpsampleNearest() as layer:
            link = Link(source, layer.scale, layer.scale, transposed=True)
        case BilinearTranspose2d(factor=f):
            link = Link(source, (2 * f, 2 * f), (f, f), transposed=True)
        case UpsampleBilinear(scale=(sh, sw)):  # a tent two input pixels wide round the middle of an input pixel
            link = Link(source, (2 * sh - sh % 2, 2 * sw - sw % 2), (sh, sw), (sh // 2, sw // 2), transposed=True)
        case Pad() as layer:
            link = Link(source, padding=layer.padding)
        case _:  # pixel by pixel: ReLU, batch norm, sums, concatenation
            link = Link(source)
    return link
