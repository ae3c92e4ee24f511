"""One line of the list that a network is."""

from dataclasses import dataclass

from scratchnet.layers.base import Layer


@dataclass(frozen=True)
class Step:
    """A layer, the name of the value it makes and the names of those it takes."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]

    @property
    def extra_values(self) -> tuple[str, ...]:
        """Names of the values that the layer makes besides its output: ``pool1.switches``."""
        return tuple(f"{self.name}.{attribute}" for attribute in self.layer.extra_outputs)
