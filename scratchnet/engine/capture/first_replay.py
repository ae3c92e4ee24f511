"""The first replay of a recording with layers of one's own, compared with a plain pass.

A layer can bypass the recorder in ways that nothing shows: ``np.asarray(x)``, a SciPy function, a counter, a draw from
``np.random``. What it computed so is frozen into the recording. So the first replay on other numbers than the recorded
ones is made beside a plain pass from the same state, and outputs, gradients, buffers and random streams must agree to
the bit. Where they do not, both are gone through step by step for the name of the layer.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture import CannotCapture, Program, TracedArray
from scratchnet.engine.capture.capture_key import digest
from scratchnet.engine.capture.detached import detached
from scratchnet.layers.base import Layer
from scratchnet.layers.builtin import is_builtin
from scratchnet.network import Network, Step
from scratchnet.network.ownership import parts_of
from scratchnet.utils.random_stream import RandomStream


class State:
    """All that a pass changes besides its result: attributes and buffers of layers, and random streams."""

    def __init__(self, network: Network) -> None:
        layers = list(layers_of(network))
        self.attributes = [(layer, {name: _copied(value) for name, value in vars(layer).items()}) for layer in layers]
        self.buffers = [(b, b.value, b.value.copy()) for layer in layers for b in layer.buffers.values()]
        held = [value for layer in layers for value in vars(layer).values()]
        self.streams: list[tuple[Any, Any]] = [(s, _stream(s)) for s in (random, np.random, *held) if _stream(s)]

    def restore(self) -> None:
        """Put everything back."""
        self.restore_attributes()
        self.restore_numbers()

    def restore_attributes(self) -> None:
        """Put the attributes of layers back, with what they keep for a backward pass."""
        for layer, attributes in self.attributes:
            vars(layer).clear()
            vars(layer).update({name: _copied(value) for name, value in attributes.items()})

    def restore_numbers(self) -> None:
        """Put buffers and random streams back."""
        for buffer, value, numbers in self.buffers:
            buffer.bind(value)
            value[...] = numbers
        for stream, state in self.streams:
            if isinstance(stream, RandomStream):
                stream.state = state
            elif isinstance(stream, np.random.Generator):
                stream.bit_generator.state = state
            elif isinstance(stream, random.Random) or stream is random:
                stream.setstate(state)
            else:
                stream.set_state(state)

    def numbers(self) -> list[bytes]:
        """Return what two passes must agree in: the contents of buffers, and the random streams."""
        return [digest(numbers) for _, _, numbers in self.buffers] + [repr(state).encode() for _, state in self.streams]


@dataclass
class Trail:
    """What the layers of one's own returned in one pass, in order.

    Attributes
    ----------
    digests : list of (step name, bytes)
        Of a plain pass.
    marks : list of (step name, count, arrays)
        Of a recorded one: after how many calls of the program the arrays are made.
    """

    program: Program | None = None
    digests: list[tuple[str, bytes]] = field(default_factory=list)
    marks: list[tuple[str, int, list[Array]]] = field(default_factory=list)

    def __call__(self, step: Step, result: Any) -> None:
        """Note down what a step returned."""
        if is_builtin(step.layer):
            return
        arrays = [a for a in (result if isinstance(result, tuple) else (result,)) if isinstance(a, np.ndarray)]
        if self.program is None:
            self.digests.append((step.name, b"".join(map(digest, arrays))))
            return
        if not all(isinstance(a, TracedArray) for a in arrays):
            raise CannotCapture("it returned an array that was made without a trace (np.asarray, np.array, SciPy, …)")
        self.marks.append((step.name, self.program.count(), [detached(a) for a in arrays]))

    def first_difference(self, plain: "Trail") -> str | None:
        """Run the program of this trail once more, and return the first step that made something else."""
        assert self.program is not None  # asked of recorded trails
        calls, done = self.program.calls(), 0
        for (step, count, arrays), (_, expected) in zip(self.marks, plain.digests, strict=False):
            while done < count:
                next(calls)()
                done += 1
            if b"".join(map(digest, arrays)) != expected:
                return step
        return None


def layers_of(network: Network) -> Iterator[Layer]:
    """Yield all layers of a network, and those that they hold."""
    seen: set[int] = set()
    for step in network.steps:
        for part in parts_of(step.layer):
            if isinstance(part, Layer) and id(part) not in seen:
                seen.add(id(part))
                yield part


def learns_in_place(network: Network) -> bool:
    """Return whether all gradients are in the network's flat buffer, which a replay replaces as a whole."""
    flat = network.flat().grads
    return all(np.may_share_memory(flat, parameter.grad) for parameter in network.parameters().values())


def same_bits(a: Array | None, b: Array | None) -> bool:
    """Return whether two arrays are equal to the bit, NaN and the sign of 0 included."""
    if a is None or b is None:
        return a is b
    return (a.shape, a.dtype) == (b.shape, b.dtype) and digest(a) == digest(b)


def _copied(value: Any) -> Any:
    """Copy what may be changed in place and is not an array of a pass."""
    return value.copy() if type(value) in (list, dict, set) else value


def _stream(value: Any) -> Any:
    """Return the state of a random stream, None for anything else."""
    if isinstance(value, RandomStream):
        return value.state
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, np.random.RandomState):
        return value.get_state()
    if value is random or isinstance(value, random.Random):
        return value.getstate()
    return np.random.get_state() if value is np.random else None  # noqa: NPY002 (a layer may draw from it)
