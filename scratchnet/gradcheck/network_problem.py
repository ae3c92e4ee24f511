"""A network as a problem."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from scratchnet.arrays import Array, generator, to_host
from scratchnet.gradcheck.contract import Subject
from scratchnet.gradcheck.kinks import watching_steps
from scratchnet.gradcheck.report import Decisions, Problem
from scratchnet.gradcheck.values import to_module
from scratchnet.gradcheck.variants import common_variants, subject_problem
from scratchnet.network import Network


def network_problem(network: Network, image: Array, seed: int, xp: ModuleType) -> Problem:
    """Give a network float64 parameters and make a problem of it; see :func:`from_network`."""
    passes = _NetworkPasses(network, seed, xp)
    subject = Subject(
        {"image": image}, passes.forward, passes.backward, passes.learned, network.state(), passes.buffers, passes.send,
        output_shape=passes.output_shape, without_dx=passes.without_dx,
    )  # fmt: skip
    layers = [step.layer for step in network.steps]
    return subject_problem(subject, passes.arrays, layers, passes.with_decisions, lambda: common_variants(subject))


class _NetworkPasses:
    """The passes of a network on host arrays, each from the same parameters, buffers and random streams.

    Attributes
    ----------
    learned : dict of str to Parameter
        The parameters that are not frozen.
    arrays : dict of str to Array
        Their values before every pass, on the host.
    buffers : dict of str to Array
        The buffers' values before every pass, on the host.
    """

    def __init__(self, network: Network, seed: int, xp: ModuleType) -> None:
        network.allocate(seed, np.float64).train()
        self.network, self.seed, self.xp = network, seed, xp
        self.values = network.flat().values
        self.values += 0.05 * generator(seed, "off").standard_normal(self.values.shape)
        self.learned = {name: p for name, p in network.parameters().items() if not p.frozen}
        self.arrays = {name: p.value for name, p in self.learned.items()}  # views of ``values``
        self.buffers = {name: to_host(buffer.value).copy() for name, buffer in network.state().items()}
        network.to(xp)

    def send(self, value: Any) -> Any:
        return to_module(value, self.xp)

    def forward(self, arrays: Mapping[str, Any], training: bool) -> Array:
        self.network.train(training)
        self.network.reseed(self.seed + arrays.get("seed", 0))
        self.network.flat().values[...] = self.send(self.values)
        for name, buffer in self.network.state().items():
            buffer.bind(self.send(self.buffers[name].copy()))
        return self.network.forward(self.send(arrays["image"]), keep=True)

    def with_decisions(self, arrays: Mapping[str, Any], training: bool) -> tuple[Array, Decisions]:
        with watching_steps(self.network.steps, self.send(arrays["image"])) as found:
            y = self.forward(arrays, training)
        return y, found

    def backward(self, dy: Array) -> dict[str, Array]:
        stale = any(parameter.grad_is_stale for parameter in self.learned.values())
        dx = self.network.backward(dy, needs_input_grad=True, **({"add": False} if stale else {}))
        return {} if dx is None else {"image": dx}

    def without_dx(self, dy: Array) -> None:
        self.network.backward(dy)

    def output_shape(self, arrays: Mapping[str, Any]) -> tuple[int, ...]:
        n, h, w, _ = arrays["image"].shape
        return self.network.shapes((h, w), n)[self.network.steps[-1].name]
