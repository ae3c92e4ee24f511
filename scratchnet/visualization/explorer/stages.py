"""The boxes of the page's drawing: the network's layers and their positions.

The drawing is an hourglass: the encoder on the left, the coarsest scale in the middle, the decoder on the right. Crops,
zero padding and sums are boxes too, because the reader can point at each of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.builtin import known_kind
from scratchnet.layers.description import LayerKind
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.visualization.graph.connectivity import Link, Middle, links, middles
from scratchnet.visualization.graph.grouping import groups_of

StageKind: TypeAlias = LayerKind | Literal["input", "classes"]
"""A layer's kind; the image and the labels are layers of the drawing too."""


@dataclass(frozen=True)
class Stage:
    """A layer as a reader sees it.

    Attributes
    ----------
    name : str
        Of its first step; "input" for the image.
    value : str
        Name of its last step, whose output is the layer's value.
    kind : StageKind
    words : str
        Description, such as "conv 3×3, 16".
    after : tuple of str
        Operations applied to the result, such as ("batch norm", "ReLU").
    shape : (n, h, w, c)
    links : tuple of Link
        How its pixels are connected to those of its inputs.
    layer : Layer or None
        Layer of its first step.
    middles : (Middle, Middle)
        Image positions of its rows and columns.
    level : int
        0 at the finest scale, usually the image's, 1 at the next coarser one, …
    part : {"down", "floor", "up"}
        Before, at or after the coarsest scale.
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
        """Whether map c of the output is computed from map c of the input alone."""
        return self.layer is not None and not self.layer.mixes_channels


def stages(net: Network, size: Pair) -> list[Stage]:
    """Return the layers of a network in order, starting with the image, for an input of ``size`` (h, w)."""
    shapes, joined, places = net.shapes(size), links(net, size), middles(net, size)
    flat = (Middle(0.0, 1.0), Middle(0.0, 1.0))
    found = [Stage("input", "input", "input", "the network's input", (), shapes["input"], (), None, flat)]
    for group in groups_of(net, shapes):
        first, *rest = group
        value, layer = group[-1].name, first.layer
        after = tuple(s.layer.describe() for s in rest if s.layer.drawn_with == "learned")
        found.append(
            Stage(first.name, value, known_kind(layer), layer.describe(), after, shapes[value],
                  tuple(joined[first.name]), layer, places[value])
        )  # fmt: skip
    return _placed(found)


def _placed(found: Sequence[Stage]) -> list[Stage]:
    """Assign each layer its level and part of the hourglass."""
    scales = sorted({round(stage.middles[0].jump, 6) for stage in found})
    levels = [scales.index(round(stage.middles[0].jump, 6)) for stage in found]
    deepest = [i for i, level in enumerate(levels) if level == len(scales) - 1]
    placed = []
    for i, (stage, level) in enumerate(zip(found, levels, strict=True)):
        part = "down" if i < deepest[0] else "up" if i > deepest[-1] else "floor"
        placed.append(Stage(**{**vars(stage), "level": level, "part": part}))
    return placed
