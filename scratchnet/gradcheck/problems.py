"""Turning functions, layers, losses and whole networks into problems that the checker can check."""

from collections.abc import Callable

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.gradcheck.checker import Decisions, Problem
from scratchnet.layers import BatchNorm2d, Layer, MaxPool2d, ReLU
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.ops.pooling import Switches


def from_functions(
    inputs: dict[str, Array],
    forward: Callable[..., Array | tuple[Array, Switches]],
    backward: Callable[..., dict[str, Array]],
) -> Problem:
    """Make a problem of a pure function and its backward.

    Parameters
    ----------
    inputs : dict of str to Array
        Given to both functions by name.
    forward : ``(**inputs) -> output or (output, switches)``
        Switches count as decisions.
    backward : ``(upstream, **inputs) -> dict of str to Array``
    """

    def run() -> tuple[Array, Decisions]:
        result = forward(**inputs)
        return (result[0], [result[1].index]) if isinstance(result, tuple) else (result, [])

    return Problem(inputs, run, lambda upstream: backward(upstream, **inputs))


def from_layer(layer: Layer, *inputs: Array | Switches, training: bool = True, seed: int = 0) -> Problem:
    """Make a problem of a layer: its array inputs (``x0``, ``x1``, …) and all its parameters are checked."""
    layer.training = training
    for name, parameter in layer.parameters.items():
        start = parameter.start(generator(seed, name), parameter.shape).astype(np.float64)
        # Biases start at 0 and scales at 1; move them off, or a forgotten one would not show.
        start = start + generator(seed, "off", name).standard_normal(parameter.shape) * 0.1
        parameter.place(start, np.zeros(parameter.shape))
    for key, buffer in layer.buffers.items():
        buffer.value = generator(seed, key).uniform(0.5, 1.5, buffer.value.shape)
    arrays = {f"x{i}": x for i, x in enumerate(inputs) if isinstance(x, np.ndarray)}
    moved = arrays | {name: p.value for name, p in layer.parameters.items()}

    def run() -> tuple[Array, Decisions]:
        layer.seed(generator(seed, "draw"))  # dropout must drop the same numbers every time
        return layer.forward(*inputs), decisions(layer)

    def back(upstream: Array) -> dict[str, Array]:
        for parameter in layer.parameters.values():
            parameter.grad[...] = 0
        sent = layer.backward(upstream)
        parts = sent if isinstance(sent, tuple) else (sent,)
        by_input = {f"x{i}": part for i, part in enumerate(parts) if part is not None}
        return by_input | {name: p.grad.copy() for name, p in layer.parameters.items()}

    return Problem(moved, run, back)


def from_loss(loss: PixelLoss, logits: Array, target: Array, pixel_weights: Array | None = None) -> Problem:
    """Make a problem of a loss: one number, whose gradient by the logits is checked."""

    def run() -> tuple[Array, Decisions]:
        return np.array([loss(logits, target, pixel_weights)[0]]), []

    return Problem({"logits": logits}, run, lambda up: {"logits": loss(logits, target, pixel_weights)[1] * up[0]})


def from_network(network: Network, x: Array, seed: int = 0) -> Problem:
    """Make a problem of a whole network in training mode: the image and every parameter are checked."""
    network.allocate(seed, np.float64).train()
    flat = network.flat()
    flat.values += 0.05 * generator(seed, "off").standard_normal(flat.values.shape)

    def run() -> tuple[Array, Decisions]:
        network.reseed(seed)
        output = network.forward(x)
        return output, [d for step in network.steps for d in decisions(step.layer)]

    def back(upstream: Array) -> dict[str, Array]:
        network.zero_grad()
        dx = network.backward(upstream, need_dx=True)
        assert dx is not None  # asked for
        return {"image": dx} | {name: p.grad.copy() for name, p in network.parameters().items()}

    return Problem({"image": x} | {name: p.value for name, p in network.parameters().items()}, run, back)


def decisions(layer: Layer) -> Decisions:
    """Return which branch each kink of the last forward pass took: ReLU masks and switches."""
    if isinstance(layer, ReLU) and layer.kept is not None:
        return [layer.kept[0] > 0]
    if isinstance(layer, BatchNorm2d) and layer.kept is not None and layer.kept[0].y is not None:
        return [layer.kept[0].y > 0]  # the ReLU was part of it
    if isinstance(layer, MaxPool2d) and layer.switches is not None:
        return [layer.switches.index]
    return []
