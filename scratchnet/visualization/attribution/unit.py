"""The value of a network that is to be explained: the score of a class at a pixel, or an activation."""

from dataclasses import dataclass

from scratchnet.arrays import Array, get_array_module
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair


@dataclass(frozen=True)
class Unit:
    """One value of a network.

    Attributes
    ----------
    row, column, channel : int
        Its position in the map.
    step : str or None
        Name of the step that computes the map; None: the last step, whose maps are the class scores.
    sign : 1 or -1
        -1 explains the negative value: with a single map of scores z, class 1 has the score z and class 0 has -z.
    """

    row: int
    column: int
    channel: int
    step: str | None = None
    sign: int = 1

    def step_of(self, network: Network) -> str:
        """Return the name of the step.

        Raises
        ------
        ValueError
            If the network has no such step.
        """
        names = [step.name for step in network.steps]
        name = names[-1] if self.step is None else self.step
        if name not in names:
            raise ValueError(f"unit: the network has no step '{name}'; it has {', '.join(names)}")
        return name

    def values(self, maps: Array) -> Array:
        """Return the values (n,) of this unit in the maps (n, h, w, c) of its step."""
        self._check(maps)
        values: Array = self.sign * maps[:, self.row, self.column, self.channel]
        return values

    def seed(self, maps: Array) -> Array:
        """Return the signal that starts at this unit: its sign there, and 0 at all other elements of the maps."""
        self._check(maps)
        signal: Array = get_array_module(maps).zeros_like(maps)
        signal[:, self.row, self.column, self.channel] = self.sign
        return signal

    def _check(self, maps: Array) -> None:
        place = self.row, self.column, self.channel
        if not all(0 <= index < length for index, length in zip(place, maps.shape[1:], strict=True)):
            raise ValueError(f"unit: row, column and channel {place} are outside of the map {maps.shape[1:]}")


def class_score(network: Network, pixel: Pair, wanted: int, size: Pair) -> Unit:
    """Return the unit that holds the score of a class at a pixel (row, column), before softmax or sigmoid.

    Parameters
    ----------
    network : Network
    pixel : (row, column)
        Position in the network's output.
    wanted : int
        Index of the class.
    size : (h, w)
        Size of the network's input.

    Raises
    ------
    ValueError
        If the output has no such pixel or class.
    """
    _, h, w, channels = network.shapes(size)[network.steps[-1].name]
    classes = max(2, channels)
    if not 0 <= wanted < classes:
        raise ValueError(f"class_score: the network has classes 0 to {classes - 1}, not {wanted}")
    if not (0 <= pixel[0] < h and 0 <= pixel[1] < w):
        raise ValueError(f"class_score: the output has {h}×{w} pixels; {tuple(pixel)} is outside")
    if channels == 1:
        return Unit(*pixel, channel=0, sign=1 if wanted == 1 else -1)
    return Unit(*pixel, channel=wanted)
