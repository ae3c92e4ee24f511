"""The state of a network that a pass changes, saved so that the same pass can be run again."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture.capture_key import digest
from scratchnet.layers.base import Layer
from scratchnet.network import Network
from scratchnet.network.ownership import parts_of
from scratchnet.utils.random_stream import RandomStream


class NetworkState:
    """Everything that a pass changes besides its result: attributes and buffers of layers, and random streams."""

    def __init__(self, network: Network) -> None:
        layers = list(layers_of(network))
        self.attributes = [(layer, {name: _copied(value) for name, value in vars(layer).items()}) for layer in layers]
        self.buffers = [(b, b.value, b.value.copy()) for layer in layers for b in layer.buffers.values()]
        values = [value for layer in layers for value in vars(layer).values()]
        self.streams: list[tuple[Any, Any]] = [
            (stream, _stream_state(stream)) for stream in (random, np.random, *values) if _stream_state(stream)
        ]

    def restore(self) -> None:
        """Restore the whole state."""
        self.restore_attributes()
        self.restore_contents()

    def restore_attributes(self) -> None:
        """Restore the attributes of layers, including what they saved for a backward pass."""
        for layer, attributes in self.attributes:
            vars(layer).clear()
            vars(layer).update({name: _copied(value) for name, value in attributes.items()})

    def restore_contents(self) -> None:
        """Restore the contents of buffers, and random streams."""
        for buffer, value, contents in self.buffers:
            buffer.bind(value)
            value[...] = contents
        for stream, state in self.streams:
            if isinstance(stream, RandomStream):
                stream.state = state
            elif isinstance(stream, np.random.Generator):
                stream.bit_generator.state = state
            elif isinstance(stream, random.Random) or stream is random:
                stream.setstate(state)
            else:
                stream.set_state(state)

    def contents(self) -> list[bytes]:
        """Return digests of buffers and the states of random streams, which must be equal after equal passes."""
        return [digest(contents) for _, _, contents in self.buffers] + [
            repr(state).encode() for _, state in self.streams
        ]


def layers_of(network: Network) -> Iterator[Layer]:
    """Yield all layers of a network, and the layers inside them."""
    seen: set[int] = set()
    for step in network.steps:
        for part in parts_of(step.layer):
            if isinstance(part, Layer) and id(part) not in seen:
                seen.add(id(part))
                yield part


def has_flat_gradients(network: Network) -> bool:
    """Return whether all gradients are in the network's flat buffer, which a replay replaces as a whole."""
    flat = network.flat().grads
    return all(np.may_share_memory(flat, parameter.grad) for parameter in network.parameters().values())


def same_bits(a: Array | None, b: Array | None) -> bool:
    """Return whether two arrays are bitwise equal, including NaN and the sign of 0."""
    if a is None or b is None:
        return a is b
    return (a.shape, a.dtype) == (b.shape, b.dtype) and digest(a) == digest(b)


def _copied(value: Any) -> Any:
    """Copy containers, which may be changed in place."""
    return value.copy() if type(value) in (list, dict, set) else value


def _stream_state(value: Any) -> Any:
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
