"""Parameters and buffers as traced arrays while a network's pass is captured."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture.network_state import layers_of
from scratchnet.engine.capture.traced_array import traced
from scratchnet.network import Network


@contextmanager
def traced_memory(network: Network) -> Iterator[None]:
    """Let a network's layers see their parameters and buffers as traced arrays inside this block.

    A recorder must be active. Layers compute with these arrays as with any others, so no layer needs to know about it.
    """
    layers = list(layers_of(network))
    parameters = [parameter for layer in layers for parameter in layer.parameters.values()]
    buffers = [buffer for layer in layers for buffer in layer.buffers.values()]
    for parameter in parameters:
        parameter.view_as(traced)
    for buffer in buffers:
        buffer.bind(traced(buffer.value))
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.view_as(_plain)
        for buffer in buffers:
            buffer.bind(_plain(buffer.value))


def _plain(array: Array) -> Array:
    return array.view(np.ndarray)
