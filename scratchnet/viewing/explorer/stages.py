"""The boxes of a drawn network: what a reader calls a layer.

A convolution, the batch norm and the ReLU behind it are three steps of the list and one layer of the drawing. Every
other step is a layer of its own. The drawing is an hourglass: on the left the layers up to the smallest map, in the
middle those at its scale, on the right the way back up.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from scratchnet.layers import (
    Add,
    BatchNorm2d,
    BedOfNails,
    BilinearTranspose2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    ReLU,
    Scale,
    UpsampleBilinear,
    UpsampleNearest,
)
from scratchnet.layers.base import Layer, Shape
from scratchnet.network import Network, Step
from scratchnet.ops.geometry import Pair
from scratchnet.viewing.links import Link, Middle, links, middles

Kind: TypeAlias = Literal[
    "input", "conv", "deconv", "pool", "unpool", "copy", "blend", "add", "concat", "pixelwise", "classes"
]
"""What a layer does with places: weigh a window, spread by weights, choose, put back, copy, mix neighbours, …"""

KINDS: dict[type[Layer], Kind] = {
    Conv2d: "conv",
    ConvTranspose2d: "deconv",
    MaxPool2d: "pool",
    MaxUnpool2d: "unpool",
    BedOfNails: "copy",
    Crop: "copy",
    Pad: "copy",
    UpsampleNearest: "copy",
    UpsampleBilinear: "blend",
    BilinearTranspose2d: "blend",
    Add: "add",
    Concatenate: "concat",
    BatchNorm2d: "pixelwise",
    Dropout: "pixelwise",
    LocalResponseNorm: "pixelwise",
    ReLU: "pixelwise",
    Scale: "pixelwise",
}
FOLLOWERS = {BatchNorm2d: "batch norm", ReLU: "ReLU"}
"""Layers that belong to the convolution before them, and their names."""


@dataclass(frozen=True)
class Stage:
    """A layer as a reader sees it.

    Attributes
    ----------
    name : str
        Of its first step; "input" for the image.
    value : str
        What it makes: the name of its last step.
    kind : Kind
    words : str
        What it is, as in "conv 3×3, 16".
    after : tuple of str
        What is done to the result, as in ("batch norm", "ReLU").
    shape : (n, h, w, c)
    links : tuple of Link
        How it meets the values that it takes.
    layer : Layer or None
        Of its first step.
    middles : (Middle, Middle)
        How its rows and columns lie over the image.
    level : int
        0 at the finest scale, which is mostly the image's, 1 at the next coarser one, …
    part : {"down", "floor", "up"}
        Before, at and behind the coarsest scale.
    """

    name: str
    value: str
    kind: Kind
    words: str
    after: tuple[str, ...]
    shape: Shape
    links: tuple[Link, ...]
    layer: Layer | None
    middles: tuple[Middle, Middle]
    level: int = 0
    part: Literal["down", "floor", "up"] = "floor"

    @property
    def keeps_channels(self) -> bool:
        """Whether map c of the result is made from map c of what it takes."""
        if isinstance(self.layer, Conv2d | ConvTranspose2d):
            return (self.layer.groups,) * 2 == self.layer.channels
        return self.kind not in ("input", "concat", "classes")


def stages(net: Network, size: Pair) -> list[Stage]:
    """Return the layers of a network in their order, the image first, for an input of ``size`` (h, w)."""
    shapes, joined, places = net.shapes(size), links(net, size), middles(net, size)
    flat = (Middle(0.0, 1.0), Middle(0.0, 1.0))
    found = [Stage("input", "input", "input", "what the network sees", (), shapes["input"], (), None, flat)]
    for group in _groups(net, shapes):
        first, *rest = group
        value, layer = group[-1].name, first.layer
        after = tuple(FOLLOWERS[type(s.layer)] for s in rest if type(s.layer) in FOLLOWERS)
        found.append(
            Stage(first.name, value, KINDS[type(layer)], _words(layer), after, shapes[value], tuple(joined[first.name]),
                  layer, places[value])
        )  # fmt: skip
    return _placed(found)


def _words(layer: Layer) -> str:
    names = {"ReLU": "ReLU", "Add": "sum", "Concatenate": "side by side", "Dropout": "dropout", "Pad": "zeros around"}
    text = layer.describe()
    return names.get(text, text)


def _groups(net: Network, shapes: dict[str, Shape]) -> list[list[Step]]:
    """Put every step with those that follow from it pixel by pixel."""
    takers = Counter(name for step in net.steps for name in step.inputs)
    groups: list[list[Step]] = []
    for step in net.steps:
        source = step.inputs[0]
        alone = bool(groups) and groups[-1][-1].name == source and takers[source] == 1
        if alone and _follows(step, groups[-1][0].layer, shapes):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _follows(step: Step, first: Layer, shapes: dict[str, Shape]) -> bool:
    """Whether a step is no layer of its own behind ``first``."""
    if isinstance(step.layer, Crop):  # one that cuts nothing off
        return shapes[step.name] == shapes[step.inputs[0]]
    if type(step.layer) in FOLLOWERS:
        return isinstance(first, Conv2d | ConvTranspose2d | BatchNorm2d)
    return isinstance(step.layer, Dropout)


def _placed(found: Sequence[Stage]) -> list[Stage]:
    """Say where in the hourglass each layer is."""
    scales = sorted({round(stage.middles[0].jump, 6) for stage in found})
    levels = [scales.index(round(stage.middles[0].jump, 6)) for stage in found]
    deepest = [i for i, level in enumerate(levels) if level == len(scales) - 1]
    placed = []
    for i, (stage, level) in enumerate(zip(found, levels, strict=True)):
        part = "down" if i < deepest[0] else "up" if i > deepest[-1] else "floor"
        placed.append(Stage(**{**vars(stage), "level": level, "part": part}))
    return placed
