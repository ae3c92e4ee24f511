"""Compare a student's backward pass with central differences of the student's forward pass."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.exercises.comparison import shown
from scratchnet.exercises.exercise import GradientCheck
from scratchnet.gradcheck import check_gradients, from_functions


def gradient_fault(check: GradientCheck, call: Callable[..., Any], seed: int) -> str | None:
    """Return a sentence about the first wrong gradient, or None.

    Parameters
    ----------
    check : GradientCheck
    call : callable
        ``call(function, *arguments)`` calls the student's function.
    seed : int
        Seed of the inputs, the upstream gradient and the sample of elements.
    """
    arguments = check.arguments(np.random.default_rng(seed))
    keys = [check.names[i] for i in range(len(check.moved))]

    def filled(inputs: dict[str, Any]) -> list[Any]:
        given = list(arguments)
        for key, position in zip(keys, check.moved, strict=True):
            given[position] = inputs[key]
        return given

    def forward(**inputs: Any) -> Any:
        return np.asarray(call(check.forward, *filled(inputs)), np.float64)

    def backward(upstream: Any, **inputs: Any) -> dict[str, Any]:
        result = call(check.backward, upstream, *filled(inputs))
        parts = result if isinstance(result, tuple | list) else (result,)
        return {key: np.asarray(part, np.float64) for key, part in zip(keys, parts, strict=True)}

    moved = {key: np.array(arguments[position], np.float64) for key, position in zip(keys, check.moved, strict=True)}
    try:
        report = check_gradients(check.backward, from_functions(moved, forward, backward), most=20, seed=seed)
    except ValueError as error:
        return str(error)
    if report.ok:
        return None
    worst = report.worst
    return (
        f"{worst.where} is {shown(worst.analytic)}, and the difference quotient is {shown(worst.numeric)} "
        "(with a random upstream gradient)"
    )
