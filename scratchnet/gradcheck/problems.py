"""Conversion of functions, layers, losses and networks to problems for the checker.

The checker perturbs and compares NumPy arrays. Under :func:`problems_on` the passes run on another device: inputs are
copied there before every pass, and outputs, decisions and gradients are copied back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from types import ModuleType

import numpy as np

from scratchnet.arrays import Array, to_host
from scratchnet.gradcheck.checker import check_jointly, imprecise
from scratchnet.gradcheck.contract import Subject, faults
from scratchnet.gradcheck.layer_problem import layer_problem
from scratchnet.gradcheck.network_problem import network_problem
from scratchnet.gradcheck.report import Decisions, Problem
from scratchnet.gradcheck.values import V, enlarged, float64_copy, to_module
from scratchnet.layers import Layer
from scratchnet.network import Network
from scratchnet.ops.switches import Switches

_MODULE: ContextVar[ModuleType] = ContextVar("module", default=np)


@contextmanager
def problems_on(xp: ModuleType) -> Iterator[None]:
    """Return a context manager in which new problems compute on the arrays of ``xp``, NumPy or CuPy."""
    token = _MODULE.set(xp)
    try:
        yield
    finally:
        _MODULE.reset(token)


def on_problem_device(value: V) -> V:
    """Return an array or switches on the device that :func:`problems_on` selects."""
    return to_module(value, _MODULE.get())


def from_functions(
    inputs: dict[str, Array],
    forward: Callable[..., Array | tuple[Array, Switches]],
    backward: Callable[..., dict[str, Array]],
) -> Problem:
    """Make a problem of a pure function and its backward.

    Parameters
    ----------
    inputs : dict of str to Array
        Passed to both functions by name.
    forward : ``(**inputs) -> output or (output, switches)``
        Switches count as decisions.
    backward : ``(upstream, **inputs) -> dict of str to Array``
    """
    xp, last = _MODULE.get(), dict[str, Array]()
    inputs = {name: float64_copy(array) for name, array in inputs.items()}

    def compute(arrays: Mapping[str, Array]) -> tuple[Array, Decisions]:
        last.clear()
        last.update({name: to_module(arrays[name], xp) for name in inputs})
        result = forward(**last)
        return (result[0], [result[1].index]) if isinstance(result, tuple) else (result, [])

    def run() -> tuple[Array, Decisions]:
        output, decisions = compute(inputs)
        return to_host(output), [to_host(array) for array in decisions]

    def back(upstream: Array) -> dict[str, Array]:
        sent = {name: to_module(array, xp) for name, array in inputs.items()}
        return {name: to_host(gradient) for name, gradient in backward(to_module(upstream, xp), **sent).items()}

    subject = Subject(
        dict(inputs), lambda arrays, _: compute(arrays)[0], lambda dy: backward(dy, **last),
        send=lambda value: to_module(value, xp),
    )  # fmt: skip
    problem = Problem(inputs, run, back)
    return replace(problem, contract=lambda dy, _: faults(subject, dy) + imprecise(problem, dy))


def from_layer(layer: Layer, *inputs: Array | Switches, training: bool = True, seed: int = 0) -> Problem:
    """Make a problem of a layer: its array inputs (``x0``, ``x1``, …) and all its parameters are checked.

    The layer gets float64 parameters that are neither 0 nor 1; its own values are lost. Inputs are copied to contiguous
    float64. The contract also checks the other mode (evaluation or training), a batch of two images and a map with one
    row less.
    """
    return layer_problem(layer, inputs, training, seed, _MODULE.get())


def from_loss(
    loss: Callable[..., tuple[float, Array]], logits: Array, target: Array, pixel_weights: Array | None = None
) -> Problem:
    """Make a problem of a loss: a single value, whose gradient with respect to the logits is checked.

    Parameters
    ----------
    loss : ``(logits, target) -> (loss, gradient)``
        A :class:`PixelLoss <scratchnet.losses.PixelLoss>` or a function of your own, whose third argument is
        ``pixel_weights`` unless they are None.
    logits : (n, h, w, c)
    target : (n, h, w)
    pixel_weights : (n, h, w) or None
    """
    xp = _MODULE.get()
    logits = float64_copy(logits)
    others = [target] if pixel_weights is None else [target, pixel_weights]

    def compute(logits: Array, others: Sequence[Array]) -> tuple[float, Array]:
        return loss(to_module(logits, xp), *(to_module(array, xp) for array in others))

    def contract(_: Array, tolerance: float) -> list[str]:
        before = [array.copy() for array in others]
        compute(logits, others)
        changed = not all(map(np.array_equal, before, others))
        found = ["the loss changes its target or weights in place"] if changed else []
        if len(logits) == 1:
            two = _loss_problem(compute, enlarged(logits, 0), [enlarged(array, 0) for array in others])
            fault = check_jointly(two, np.ones(1), tolerance)
            found += [f"with two images: {fault}"] if fault else []
        return found

    return replace(_loss_problem(compute, logits, others), contract=contract)


def _loss_problem(
    compute: Callable[[Array, Sequence[Array]], tuple[float, Array]], logits: Array, others: Sequence[Array]
) -> Problem:
    """Make a problem of a loss, without a contract."""

    def run() -> tuple[Array, Decisions]:
        return np.array([float(compute(logits, others)[0])]), []

    def back(upstream: Array) -> dict[str, Array]:
        return {"logits": to_host(compute(logits, others)[1]) * upstream[0]}

    return Problem({"logits": logits}, run, back)


def from_network(network: Network, x: Array, seed: int = 0) -> Problem:
    """Make a problem of a whole network in training mode: the image and every parameter are checked.

    The network gets new float64 parameters, initialised from ``seed``: check it before training, or check a copy. The
    contract also checks evaluation mode and, if ``x`` is one image, a batch of two.
    """
    return network_problem(network, float64_copy(x), seed, _MODULE.get())
