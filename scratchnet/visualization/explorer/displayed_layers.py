"""Layers of the page's drawing and their positions.

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
from scratchnet.visualization.graph.connectivity import AxisGrid, Connection, connections, pixel_grids
from scratchnet.visualization.graph.grouping import group_steps

DisplayedKind: TypeAlias = LayerKind | Literal["input", "classes"]
"""Kind of a layer; the image and the predicted classes are layers of the drawing, too."""


@dataclass(frozen=True)
class DisplayedLayer:
    """A layer as it is drawn: one or more steps of the network.

    Attributes
    ----------
    name : str
        Name of its first step; "input" for the image.
    value : str
        Name of its last step, whose output is the layer's value.
    kind : DisplayedKind
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
    kind: DisplayedKind
    words: str
    after: tuple[str, ...]
    shape: Shape
    connections: tuple[Connection, ...]
    layer: Layer | None
    pixel_grids: tuple[AxisGrid, AxisGrid]
    level: int = 0
    part: Literal["down", "floor", "up"] = "floor"

    @property
    def keeps_channels(self) -> bool:
        """Whether map c of the output is computed from map c of the input alone."""
        return self.layer is not None and not self.layer.mixes_channels


def displayed_layers(net: Network, size: Pair) -> list[DisplayedLayer]:
    """Return the layers of a network in order, starting with the image, for an input of ``size`` (h, w)."""
    shapes, joined, places = net.shapes(size), connections(net, size), pixel_grids(net, size)
    flat = (AxisGrid(0.0, 1.0), AxisGrid(0.0, 1.0))
    displayed = [DisplayedLayer("input", "input", "input", "the network's input", (), shapes["input"], (), None, flat)]
    for group in group_steps(net, shapes):
        first, *rest = group
        value, layer = group[-1].name, first.layer
        after = tuple(s.layer.describe() for s in rest if s.layer.drawn_with == "learned")
        displayed.append(
            DisplayedLayer(first.name, value, known_kind(layer), layer.describe(), after, shapes[value],
                  tuple(joined[first.name]), layer, places[value])
        )  # fmt: skip
    return _placed(displayed)


def _placed(displayed: Sequence[DisplayedLayer]) -> list[DisplayedLayer]:
    """Assign each layer its level and part of the hourglass."""
    scales = sorted({round(shown.pixel_grids[0].jump, 6) for shown in displayed})
    levels = [scales.index(round(shown.pixel_grids[0].jump, 6)) for shown in displayed]
    deepest = [i for i, level in enumerate(levels) if level == len(scales) - 1]
    placed = []
    for i, (shown, level) in enumerate(zip(displayed, levels, strict=True)):
        part = "down" if i < deepest[0] else "up" if i > deepest[-1] else "floor"
        placed.append(DisplayedLayer(**{**vars(shown), "level": level, "part": part}))
    return placed
