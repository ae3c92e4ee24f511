"""The boxes of the page's drawing: the network's layers and where each has its place.

The drawing is an hourglass: on the left the layers up to the smallest map, in the middle those at its scale, on the
right the way back up. A crop, a frame of zeros or a sum is a box as well, for every one of them can be pointed at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, ReLU
from scratchnet.layers.base import Layer, Shape
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.viewing.grouping import Kind, groups_of, kind_of
from scratchnet.viewing.links import Link, Middle, links, middles

StageKind: TypeAlias = Kind | Literal["input", "classes"]
"""A layer's kind; the image and the labels are layers of the drawing too."""

JOINED = {BatchNorm2d: "batch norm", ReLU: "ReLU"}
"""What is named beside the convolution that it belongs to."""


@dataclass(frozen=True)
class Stage:
    """A layer as a reader sees it.

    Attributes
    ----------
    name : str
        Of its first step; "input" for the image.
    value : str
        What it makes: the name of its last step.
    kind : StageKind
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
    kind: StageKind
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
    for group in groups_of(net, shapes):
        first, *rest = group
        value, layer = group[-1].name, first.layer
        after = tuple(JOINED[type(s.layer)] for s in rest if type(s.layer) in JOINED)
        found.append(
            Stage(first.name, value, kind_of(first), _words(layer), after, shapes[value], tuple(joined[first.name]),
                  layer, places[value])
        )  # fmt: skip
    return _placed(found)


def _words(layer: Layer) -> str:
    names = {"ReLU": "ReLU", "Add": "sum", "Concatenate": "side by side", "Dropout": "dropout", "Pad": "zeros around"}
    text = layer.describe()
    return names.get(text, text)


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
