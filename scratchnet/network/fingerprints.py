"""Detect changes in place between a forward pass and its backward pass.

Layers save their inputs and outputs for the backward pass without copying them. ``x *= 0`` after ``net.forward(x)``
changes the input that the first convolution saved, and its gradient would be silently wrong. So a forward pass records
a few hundred values of its input, its output and the parameters, and the backward pass compares them. This takes some
microseconds and detects changes of whole arrays; a change of a few pixels may be missed. On a GPU nothing is recorded,
because reading values would wait for it.
"""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.engine.capture import active_recorder
from scratchnet.network.parameters import FlatBuffers
from scratchnet.network.step import Step

SAMPLES = 512
"""Number of values that are compared for each array."""


class Fingerprint:
    """A sample of an array's values; it does not keep the array alive.

    Parameters
    ----------
    array : Array
    indices : sequence of int
        Further elements to compare, for a vector.
    """

    def __init__(self, array: Array, indices: Sequence[int] = ()) -> None:
        self._array, self._indices = weakref.ref(array), list(indices)
        self._values = self._sample(array)

    def changed(self) -> Array | None:
        """Return the array if it still exists and its values have changed, else None."""
        array = self._array()
        return None if array is None or self._sample(array) == self._values else array

    def _sample(self, array: Array) -> tuple[bytes, bytes]:
        plain = array.view(np.ndarray)
        more = plain[self._indices].tobytes() if self._indices else b""
        return plain[_sample_indices(plain.shape)].tobytes(), more


class PassFingerprints:
    """Fingerprints of the arrays that a backward pass relies on: the network's input, output and parameters.

    Parameters
    ----------
    x, y : Array
        Input and output of the forward pass.
    flat : FlatBuffers
        The parameters.
    """

    def __init__(self, x: Array, y: Array, flat: FlatBuffers) -> None:
        self._values = {"input": Fingerprint(x), "output": Fingerprint(y)}
        self._parameters = Fingerprint(flat.values, flat.offsets)

    @classmethod
    def of(cls, x: Array, y: Array, flat: FlatBuffers) -> "PassFingerprints | None":
        """Return the fingerprints of a pass; None if the arrays are on a GPU or a recorder is active."""
        return cls(x, y, flat) if isinstance(x, np.ndarray) and active_recorder() is None else None

    def check(self, steps: Sequence[Step], stored: Any) -> None:
        """Refuse a backward pass if values that it needs were changed.

        Parameters
        ----------
        steps : sequence of Step
            The steps of the backward pass.
        stored
            Values that the network itself saved to recompute steps.

        Raises
        ------
        RuntimeError
            With the name of the step that saved the changed array.
        """
        check_parameters(self._parameters)
        for name, fingerprint in self._values.items():
            array = fingerprint.changed()
            holders = [] if array is None else [step.name for step in steps if holds(vars(step.layer), array)]
            if array is not None and not holders and holds(stored, array):
                holders = [steps[0].name]
            if holders:
                raise RuntimeError(
                    f"network: the {name} was changed in place after forward, but step '{holders[0]}' saved it for "
                    f"backward; {'pass a copy to forward' if name == 'input' else 'change a copy'}, or call backward "
                    "first"
                )


def check_parameters(parameters: Fingerprint) -> None:
    """Refuse a backward pass if the parameters were changed since the forward pass.

    Raises
    ------
    RuntimeError
        If they were changed.
    """
    if parameters.changed() is not None:
        raise RuntimeError(
            "network: parameters were changed between forward and backward (by an optimizer step or a load); call "
            "backward first, or forward again"
        )


@lru_cache(maxsize=64)
def _sample_indices(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Return random indices of the values to compare; regular ones might all be of one channel."""
    size = prod(shape)
    chosen = np.arange(size) if size <= SAMPLES else np.sort(generator(0, "sample").integers(0, size, SAMPLES))
    return np.unravel_index(chosen, shape)


def holds(value: Any, array: Array) -> bool:
    """Return whether an array among nested values shares memory with ``array``."""
    return any(np.may_share_memory(array, found) for found in _arrays_in(value, set()))


def _arrays_in(value: Any, seen: set[int]) -> Iterator[Array]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        yield value
    inner: Any = ()
    if isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, list | tuple):
        inner = value
    elif is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, field.name) for field in fields(value)]
    for part in inner:
        yield from _arrays_in(part, seen)
