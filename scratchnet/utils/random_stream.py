"""The random values of a layer: the same on every device, with a repeatable last draw."""

from collections.abc import Mapping
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.utils.philox import skip, uniform


class RandomStream:
    """Uniform random values, drawn batch by batch.

    Attributes
    ----------
    rng : Generator
        Its bit generator must be Philox if images are skipped or values are drawn on a GPU.
    last_state : mapping or None
        State of the bit generator before the last draw; None if there is nothing to repeat.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.last_state: Mapping[str, Any] | None = None
        self._first = 0

    def seed(self, rng: np.random.Generator, first: int = 0) -> None:
        """Draw from ``rng`` from now on, starting at image ``first`` of a batch: other processes draw for the rest."""
        self.rng, self._first = rng, first

    @property
    def state(self) -> tuple[Any, ...]:
        """All that the next draws depend on; may be set, to draw the same values once more."""
        return self.rng, self.rng.bit_generator.state, self.last_state, self._first

    @state.setter
    def state(self, state: tuple[Any, ...]) -> None:
        self.rng, self.rng.bit_generator.state, self.last_state, self._first = state

    def uniform(self, shape: tuple[int, ...], xp: ModuleType, again: bool = False) -> Array:
        """Return float32 values in [0, 1) of ``shape`` (n, …) as an array of ``xp``; ``again`` repeats a draw."""
        bits = self.rng.bit_generator
        if again:
            if self.last_state is None:
                raise RuntimeError("RandomStream: there is no draw to repeat")
            now, bits.state = bits.state, self.last_state
            values = self._draw(shape, xp)
            bits.state = now
            return values
        if self._first:
            skip(self.rng, self._first * prod(shape[1:]))
            self._first = 0
        self.last_state = bits.state
        return self._draw(shape, xp)

    def _draw(self, shape: tuple[int, ...], xp: ModuleType) -> Array:
        return self.rng.random(shape, np.float32) if xp is np else uniform(self.rng, shape, xp)
