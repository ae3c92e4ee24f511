"""Answers that are networks: compare the shapes of their steps, outputs and gradients for given parameters."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from types import ModuleType
from typing import Any
from zlib import crc32

import numpy as np

from scratchnet.arrays import Array
from scratchnet.layers import Layer
from scratchnet.network import Network


def network_answer(name: str, *, gradients: bool = False) -> Callable[..., Any]:
    """Return a function for ``Exercise.inside`` that runs the network which a student's function returns.

    The function takes the module, an image (n, h, w, c) and the arguments of the student's function. It returns

    - a dict of the shapes of all steps,
    - the output for parameters that depend only on their names,
    - with ``gradients``, the gradients of all parameters for an upstream gradient of the same kind, and the gradient
      with respect to the image.
    """

    def answer(module: ModuleType, x: Array, *arguments: Any) -> tuple[Any, ...]:
        net = check_network(getattr(module, name)(*arguments), name)
        shapes = {key: list(shape) for key, shape in net.shapes(x.shape[1:3], len(x)).items()}
        net.allocate(0, dtype=np.float64).train()
        for key, parameter in net.parameters().items():
            parameter.value[...] = values_for(key, parameter.shape)
        y = net.forward(x).copy()
        if not gradients:
            return shapes, y
        net.zero_grad()
        dx = net.backward(values_for("upstream", y.shape), needs_input_grad=True)
        return shapes, y, {key: parameter.grad.copy() for key, parameter in net.parameters().items()}, dx

    return answer


def check_network(net: Any, name: str) -> Network:
    """Return the network.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if not isinstance(net, Network):
        found = "None" if net is None else f"a {type(net).__name__}"
        raise TypeError(f"{name} returns {found}; expected a Network")
    return net


def values_for(name: str, shape: tuple[int, ...]) -> Array:
    """Return random values that depend on a name and a shape only."""
    return np.random.default_rng(crc32(name.encode())).uniform(-1, 1, shape)


def rewired(
    net: Network, inputs: Mapping[str, tuple[str, ...]] | None = None, layers: Mapping[str, Layer] | None = None
) -> Network:
    """Return a copy of a network in which some steps have other inputs or other layers; for known mistakes."""
    copy, inputs, layers = Network(net.channels), inputs or {}, layers or {}
    for step in net.steps:
        copy.add(step.name, layers.get(step.name) or deepcopy(step.layer), *inputs.get(step.name, step.inputs))
    return copy
