"""One line of the list that a network is."""

from dataclasses import dataclass

from scratchnet.layers.base import Layer


@dataclass(frozen=True)
class Step:
    """A layer, the name of the value it makes and the names of those it takes."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]
