"""A step of a network."""

from dataclasses import dataclass

from scratchnet.layers.base import Layer


@dataclass(frozen=True)
class Step:
    """A layer, the name of its output value and the names of its input values."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]

    @property
    def extra_values(self) -> tuple[str, ...]:
        """Names of the values that the layer computes besides its output: ``pool1.switches``."""
        return tuple(f"{self.name}.{attribute}" for attribute in self.layer.extra_outputs)
