"""The problem of a layer or network, and the variants of mode and input on which its contract repeats the check."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from scratchnet.arrays import Array, generator, to_host
from scratchnet.gradcheck.checker import check_jointly, imprecise
from scratchnet.gradcheck.contract import Subject, evaluation_faults, faults
from scratchnet.gradcheck.report import Decisions, Problem
from scratchnet.gradcheck.values import enlarged, shape_of
from scratchnet.layers import Layer

Forward = Callable[[Mapping[str, Any], bool], tuple[Array, Decisions]]
"""Function (inputs, training) → output and decisions."""


class Variant(NamedTuple):
    """A change of mode or input, with its description for messages.

    Attributes
    ----------
    description : str
    inputs : mapping of str to array or Switches
    training : bool
    may_be_refused : bool
        Whether an exception is accepted; otherwise it is a fault.
    """

    description: str
    inputs: Mapping[str, Any]
    training: bool
    may_be_refused: bool = False


def common_variants(subject: Subject) -> Iterator[Variant]:
    """Yield the other mode, another input and, if the input is one image, a batch of two."""
    other_mode = "in evaluation mode" if subject.training else "in training mode"
    yield Variant(other_mode, subject.inputs, not subject.training)
    yield Variant("at another input", subject.others(), subject.training)
    if all(shape_of(x)[:1] == (1,) for x in subject.inputs.values()):
        yield Variant("with two images", {k: enlarged(x, 0) for k, x in subject.inputs.items()}, subject.training)


def subject_problem(
    subject: Subject,
    values: dict[str, Array],
    layers: Sequence[Layer],
    forward: Forward,
    variants: Callable[[], Iterator[Variant]],
) -> Problem:
    """Make a problem of a layer or network.

    Parameters
    ----------
    subject : Subject
    values : dict of str to Array
        Host arrays of the parameters, which the checker moves.
    layers : sequence of Layer
        The subject's layers.
    forward : Forward
    variants : () -> iterator of Variant
    """

    def contract(upstream: Array, tolerance: float) -> list[str]:
        problem = _problem(subject, values, forward, subject.inputs, subject.training)
        found = faults(subject, upstream)
        if len(layers) == 1:
            found += imprecise(problem, upstream)
        found += evaluation_faults(subject, any(layer.mixes_images for layer in layers))
        for variant in variants():
            changed = _problem(subject, values, forward, variant.inputs, variant.training)
            if fault := _variant_fault(changed, subject, variant, tolerance):
                found.append(f"{variant.description}: {fault}")
        subject.forward(subject.inputs, subject.training)  # restores the mode
        for layer in layers:
            layer.release()
        return found

    return replace(_problem(subject, values, forward, subject.inputs, subject.training), contract=contract)


def _problem(
    subject: Subject, values: dict[str, Array], forward: Forward, inputs: Mapping[str, Any], training: bool
) -> Problem:
    """Make a problem of one mode and input, without a contract."""

    def run() -> tuple[Array, Decisions]:
        y, decisions = forward(inputs, training)
        return to_host(y), decisions

    def back(upstream: Array) -> dict[str, Array]:
        for parameter in subject.parameters.values():
            parameter.grad[...] = 0
        by_input = {key: to_host(dx) for key, dx in subject.backward(subject.send(upstream)).items()}
        return by_input | {name: to_host(p.grad).copy() for name, p in subject.parameters.items()}

    arrays = {key: x for key, x in inputs.items() if isinstance(x, np.ndarray)}
    return Problem(arrays | values, run, back)


def _variant_fault(problem: Problem, subject: Subject, variant: Variant, tolerance: float) -> str:
    """Return the fault that a variant shows, or an empty string."""
    try:
        output = to_host(subject.forward(variant.inputs, variant.training))
        shape = output.shape if subject.output_shape is None else tuple(subject.output_shape(variant.inputs))
        if shape != output.shape:
            return f"output_shape returns {shape}, but the output is {output.shape}"
        return check_jointly(problem, generator(6, "variant").standard_normal(output.shape), tolerance)
    except Exception as error:
        return "" if variant.may_be_refused else f"{type(error).__name__}: {error}"
