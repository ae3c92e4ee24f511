"""Turning functions, layers, losses and whole networks into problems that the checker can check.

The checker moves NumPy arrays and compares NumPy arrays. Under :func:`problems_on` what lies between is computed on
another device: inputs go there before every pass, and outputs, decisions and gradients come back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from scratchnet.arrays import Array, to_host
from scratchnet.gradcheck.checker import check_jointly, imprecise
from scratchnet.gradcheck.contract import Subject, faults
from scratchnet.gradcheck.report import Decisions, Problem
from scratchnet.gradcheck.subjects import V, enlarged, layer_problem, movable, network_problem, sent
from scratchnet.layers import Layer
from scratchnet.network import Network
from scratchnet.ops.switches import Switches

_MODULE: ContextVar[ModuleType] = ContextVar("module", default=np)


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
    return sent(value, xp or _MODULE.get())


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
    xp, last = _MODULE.get(), dict[str, Array]()
    inputs = {name: movable(array) for name, array in inputs.items()}

    def compute(arrays: Mapping[str, Array], _: bool = True) -> Any:
        last.clear()
        last.update({name: moved(arrays[name], xp) for name in inputs})
        return forward(**last)

    def run() -> tuple[Array, Decisions]:
        result = compute(inputs)
        return (to_host(result[0]), [to_host(result[1].index)]) if isinstance(result, tuple) else (to_host(result), [])

    def output(arrays: Mapping[str, Array], training: bool) -> Array:
        result: Array | tuple[Array, Switches] = compute(arrays, training)
        return result[0] if isinstance(result, tuple) else result

    def back(upstream: Array) -> dict[str, Array]:
        return _fetched(backward(moved(upstream, xp), **{name: moved(array, xp) for name, array in inputs.items()}))

    subject = Subject(dict(inputs), output, lambda dy: backward(dy, **last), send=lambda x: moved(x, xp))

    def contract(dy: Array, _: float) -> list[str]:
        return faults(subject, dy) + imprecise(Problem(inputs, run, back), dy)

    return Problem(inputs, run, back, contract)


def from_layer(layer: Layer, *inputs: Array | Switches, training: bool = True, seed: int = 0) -> Problem:
    """Make a problem of a layer: its array inputs (``x0``, ``x1``, …) and all its parameters are checked.

    The layer is given float64 parameters that are neither 0 nor 1; its own values are lost. Inputs are copied
    to contiguous float64. The other mode (evaluation or training), a batch of two images and a map
    with one row less are tried as well.
    """
    return layer_problem(layer, inputs, training, seed, _MODULE.get())


def from_loss(
    loss: Callable[..., tuple[float, Array]], logits: Array, target: Array, pixel_weights: Array | None = None
) -> Problem:
    """Make a problem of a loss: a single value, whose gradient with respect to the logits is checked.

    Parameters
    ----------
    loss : ``(logits, target) -> (loss, gradient)``
        A :class:`PixelLoss <scratchnet.losses.PixelLoss>` or a function of your own; it is given ``pixel_weights`` as a
        third argument where there are any.
    logits : (n, h, w, c)
    target : (n, h, w)
    pixel_weights : (n, h, w) or None
    """
    xp = _MODULE.get()
    logits = movable(logits)
    rest = [target] if pixel_weights is None else [target, pixel_weights]

    def compute(x: Array, rest: Sequence[Array]) -> tuple[float, Array]:
        return loss(moved(x, xp), *(moved(array, xp) for array in rest))

    def problem(logits: Array, rest: Sequence[Array]) -> Problem:
        def run() -> tuple[Array, Decisions]:
            return np.array([float(compute(logits, rest)[0])]), []

        def back(upstream: Array) -> dict[str, Array]:
            return {"logits": to_host(compute(logits, rest)[1]) * upstream[0]}

        return Problem({"logits": logits}, run, back)

    def contract(_: Array, tolerance: float) -> list[str]:
        before = [array.copy() for array in rest]
        compute(logits, rest)
        changed = not all(map(np.array_equal, before, rest))
        found = ["the loss changes its target or weights in place"] if changed else []
        if len(logits) == 1:
            two = problem(enlarged(logits, 0), [enlarged(array, 0) for array in rest])
            text = check_jointly(two, np.ones(1), tolerance)
            found += [f"with two images: {text}"] if text else []
        return found

    return replace(problem(logits, rest), contract=contract)


def from_network(network: Network, x: Array, seed: int = 0) -> Problem:
    """Make a problem of a whole network in training mode: the image and every parameter are checked.

    The network is given float64 parameters that start from ``seed``: check a network before it is trained, or a copy of
    it. Evaluation mode and, if ``x`` is one image, a batch of two are tried as well.
    """
    return network_problem(network, movable(x), seed, _MODULE.get())


def _fetched(gradients: dict[str, Array]) -> dict[str, Array]:
    return {name: to_host(gradient) for name, gradient in gradients.items()}
