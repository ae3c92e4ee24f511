"""Single operations, forward and backward, timed side by side."""

from collections.abc import Iterator, Mapping

import numpy as np

from benchmarks.harness import scratchnet_ops as our_ops
from benchmarks.harness import torch_ops
from benchmarks.harness.implementation_names import CHANNELS_LAST, LAYOUTS, OURS
from benchmarks.harness.op_cases import Problem, Solution
from benchmarks.harness.report import Row
from benchmarks.harness.session import Session
from benchmarks.harness.timing import measure
from scratchnet.utils.errors import UserError

LIMIT = 1e-3
"""Largest relative difference of float32 results; mistakes are of the order of 1."""


def measure_problem(problem: Problem, session: Session) -> Iterator[Row]:
    """Compare and time the contestants; yield a row for each part (forward, backward).

    Raises
    ------
    UserError
        When a contestant computes something else.
    """
    names = LAYOUTS if session.torch else ()
    others = {name: torch_ops.solve(problem, name == CHANNELS_LAST) for name in names}
    yield from measure_solutions(problem, session, our_ops.solve(problem), others)


def measure_solutions(
    problem: Problem, session: Session, ours: Solution, others: Mapping[str, Solution]
) -> Iterator[Row]:
    """Do the same with any other contestants, whose parts have the names of ours."""
    apart: dict[str, float] = {}
    for name, solution in others.items():
        apart[name] = _difference(ours, solution)
        if not apart[name] <= LIMIT:
            raise UserError(f"{problem.name}: {name} is off by {apart[name]:.1e}; not timed")
    for part in ours.parts:
        calls = {name: solution.parts[part] for name, solution in {OURS: ours, **others}.items()}
        for call in calls.values():
            call()
        yield Row(
            f"{problem.name} {part}",
            problem.flops(part),
            measure(calls, session.method),
            details={"part": part, "kind": problem.kind, "shapes": problem.shapes, "difference": apart},
        )


def _difference(ours: Solution, other: Solution) -> float:
    """Return the largest relative difference (Euclidean) among the results."""
    return max(
        float(np.linalg.norm((a - b).ravel()) / np.linalg.norm(b.ravel()))
        for a, b in zip(ours.results(), other.results(), strict=True)
    )
