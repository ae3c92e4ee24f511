"""Turning functions, layers, losses and whole networks into problems that the checker can check.

The checker moves NumPy arrays and compares NumPy arrays. Under :func:`problems_on` what lies between is computed on
another device: inputs go there before every pass, and outputs, decisions and gradients come back.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from types import ModuleType
from typing import TypeVar

import numpy as np

from scratchnet.arrays import Array, generator, to_host
from scratchnet.gradcheck.kinks import decisions, watching_pools
from scratchnet.gradcheck.report import Decisions, Problem
from scratchnet.layers import Layer
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.ops.pooling import Switches

_MODULE: ContextVar[ModuleType] = ContextVar("module", default=np)

V = TypeVar("V", Array, Switches, Array | Switches)


@contextmanager
def problems_on(xp: ModuleType) -> Iterator[None]:
    """Make problems that compute on the arrays of ``xp``, NumPy or CuPy, inside this block."""
    token = _MODULE.set(xp)
    try:
        yield
    finally:
        _MODULE.reset(token)


def moved(value: V, xp: ModuleType | None = None) -> V:
    """Return an array or switches on the device that problems are made on, or that of ``xp``; NumPy's as they are."""
    xp = xp or _MODULE.get()
    if isinstance(value, Switches):
        return replace(value, index=xp.asarray(value.index))
    there: Array = xp.asarray(value)
    return there


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
    xp = _MODULE.get()

    def there() -> dict[str, Array]:
        return {name: moved(array, xp) for name, array in inputs.items()}

    def run() -> tuple[Array, Decisions]:
        result = forward(**there())
        return (to_host(result[0]), [to_host(result[1].index)]) if isinstance(result, tuple) else (to_host(result), [])

    def back(upstream: Array) -> dict[str, Array]:
        return _fetched(backward(moved(upstream, xp), **there()))

    return Problem(inputs, run, back)


def from_layer(layer: Layer, *inputs: Array | Switches, training: bool = True, seed: int = 0) -> Problem:
    """Make a problem of a layer: its array inputs (``x0``, ``x1``, …) and all its parameters are checked."""
    layer.training = training
    xp, values = _MODULE.get(), {}
    for name, parameter in layer.parameters.items():
        start = parameter.start(generator(seed, name), parameter.shape).astype(np.float64)
        # Biases start at 0 and scales at 1; move them off, or a forgotten one would not show.
        start = start + generator(seed, "off", name).standard_normal(parameter.shape) * 0.1
        values[name] = start
        parameter.place(moved(start), xp.zeros(parameter.shape))
    for key, buffer in layer.buffers.items():
        buffer.value = moved(generator(seed, key).uniform(0.5, 1.5, buffer.value.shape))
    arrays = {f"x{i}": x for i, x in enumerate(inputs) if isinstance(x, np.ndarray)}

    def run() -> tuple[Array, Decisions]:
        layer.seed(generator(seed, "draw"))  # dropout must drop the same numbers every time
        for name, parameter in layer.parameters.items():
            parameter.value[...] = moved(values[name], xp)
        with watching_pools([layer]) as maxima:
            y = layer.forward(*(moved(x, xp) for x in inputs))
        return to_host(y), decisions(layer, maxima)

    def back(upstream: Array) -> dict[str, Array]:
        for parameter in layer.parameters.values():
            parameter.grad[...] = 0
        sent = layer.backward(moved(upstream, xp))
        parts = sent if isinstance(sent, tuple) else (sent,)
        by_input = {f"x{i}": part for i, part in enumerate(parts) if part is not None}
        return _fetched(by_input | {name: p.grad.copy() for name, p in layer.parameters.items()})

    return Problem(arrays | values, run, back)


def from_loss(loss: PixelLoss, logits: Array, target: Array, pixel_weights: Array | None = None) -> Problem:
    """Make a problem of a loss: one number, whose gradient by the logits is checked."""
    xp, labels = _MODULE.get(), moved(target)
    weights = None if pixel_weights is None else moved(pixel_weights)

    def run() -> tuple[Array, Decisions]:
        return np.array([float(loss(moved(logits, xp), labels, weights)[0])]), []

    def back(upstream: Array) -> dict[str, Array]:
        return {"logits": to_host(loss(moved(logits, xp), labels, weights)[1]) * upstream[0]}

    return Problem({"logits": logits}, run, back)


def from_network(network: Network, x: Array, seed: int = 0) -> Problem:
    """Make a problem of a whole network in training mode: the image and every parameter that learns are checked."""
    network.allocate(seed, np.float64).train()
    xp, values = _MODULE.get(), network.flat().values
    values += 0.05 * generator(seed, "off").standard_normal(values.shape)
    learned = {name: p for name, p in network.parameters().items() if not p.frozen}
    inputs = {"image": x} | {name: p.value for name, p in learned.items()}
    network.to(xp)

    def run() -> tuple[Array, Decisions]:
        network.reseed(seed)
        network.flat().values[...] = moved(values, xp)
        with watching_pools(step.layer for step in network.steps) as maxima:
            output = network.forward(moved(x, xp))
        return to_host(output), [d for step in network.steps for d in decisions(step.layer, maxima)]

    def back(upstream: Array) -> dict[str, Array]:
        network.zero_grad()
        dx = network.backward(moved(upstream, xp), need_dx=True)
        assert dx is not None  # asked for
        return _fetched({"image": dx} | {name: p.grad.copy() for name, p in learned.items()})

    return Problem(inputs, run, back)


def _fetched(gradients: dict[str, Array]) -> dict[str, Array]:
    return {name: to_host(gradient) for name, gradient in gradients.items()}
