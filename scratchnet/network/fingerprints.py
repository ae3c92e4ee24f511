"""Notice what was changed in place between a forward pass and its backward pass.

Layers keep their inputs and outputs for the backward pass, not copies of them. ``x *= 0`` after ``net.forward(x)``
changes what the first convolution kept, and its gradient would be wrong without a word. So a forward pass notes a few
hundred values of its input, its output and the parameters, and the backward pass looks at them again. That finds what
goes over a whole array, for some microseconds; a change of a few pixels may be missed. On a GPU nothing is noted, as
reading values would mean waiting for it.
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
"""Values that are noted of every array."""


class Fingerprint:
    """A few values of an array, which is not kept alive.

    Parameters
    ----------
    array : Array
    places : list of int
        What else to look at in a vector.
    """

    def __init__(self, array: Array, places: Sequence[int] = ()) -> None:
        self._array, self._places = weakref.ref(array), list(places)
        self._values = self._sample(array)

    def changed(self) -> Array | None:
        """Return the array if it is still there and has other values now, else None."""
        array = self._array()
        return None if array is None or self._sample(array) == self._values else array

    def _sample(self, array: Array) -> tuple[bytes, bytes]:
        plain = array.view(np.ndarray)
        more = plain[self._places].tobytes() if self._places else b""
        return plain[_places(plain.shape)].tobytes(), more


class Fingerprints:
    """What a backward pass relies on: the network's input, its output and its parameters.

    Parameters
    ----------
    x, y : Array
        Input and output of a forward pass that was just made.
    flat : FlatBuffers
        Its parameters.
    """

    def __init__(self, x: Array, y: Array, flat: FlatBuffers) -> None:
        self._seen = {"input": Fingerprint(x), "output": Fingerprint(y)}
        self._parameters = Fingerprint(flat.values, flat.begins)

    @classmethod
    def of(cls, x: Array, y: Array, flat: FlatBuffers) -> "Fingerprints | None":
        """Return the fingerprints of a pass; None where arrays are on a GPU, or are being recorded."""
        return cls(x, y, flat) if isinstance(x, np.ndarray) and active_recorder() is None else None

    def check(self, steps: Sequence[Step], stored: Any) -> None:
        """Refuse a backward pass if something that it needs was changed.

        Parameters
        ----------
        steps : sequence of Step
            Those that the backward pass goes through.
        stored
            What the network itself keeps to run steps again.

        Raises
        ------
        RuntimeError
            With the name of the step that kept what was changed.
        """
        check_parameters(self._parameters)
        for name, fingerprint in self._seen.items():
            array = fingerprint.changed()
            holders = [] if array is None else [step.name for step in steps if _holds(vars(step.layer), array)]
            if array is not None and not holders and _holds(stored, array):
                holders = [steps[0].name]
            if holders:
                raise RuntimeError(
                    f"network: the {name} was changed in place after forward, but step '{holders[0]}' kept it for "
                    f"backward; {'pass a copy to forward' if name == 'input' else 'change a copy'}, or call backward "
                    "first"
                )


def check_parameters(parameters: Fingerprint) -> None:
    """Refuse a backward pass with other parameters than those of the forward pass.

    Raises
    ------
    RuntimeError
        When they were changed.
    """
    if parameters.changed() is not None:
        raise RuntimeError(
            "network: parameters were changed between forward and backward (by an optimizer step or a load); call "
            "backward first, or forward again"
        )


@lru_cache(maxsize=64)
def _places(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Return the places of the values that are noted: at random, or they might all be of one channel."""
    size = prod(shape)
    chosen = np.arange(size) if size <= SAMPLES else np.sort(generator(0, "sample").integers(0, size, SAMPLES))
    return np.unravel_index(chosen, shape)


def _holds(value: Any, array: Array) -> bool:
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
