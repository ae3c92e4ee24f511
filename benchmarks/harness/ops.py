"""Single operations, forward and backward, timed in alternation with other libraries."""

from collections.abc import Iterator, Mapping

import numpy as np

from benchmarks.harness import scratchnet_ops, torch_ops
from benchmarks.harness.implementation_names import CHANNELS_LAST, LAYOUTS, SCRATCHNET
from benchmarks.harness.op_cases import OpCase, OpImplementation
from benchmarks.harness.report import Measurement
from benchmarks.harness.session import Session
from benchmarks.harness.timing import measure
from scratchnet.utils.errors import UserError

TOLERANCE = 1e-3
"""Largest relative difference of float32 results; errors in the code are of the order of 1."""


def measure_op(case: OpCase, session: Session) -> Iterator[Measurement]:
    """Compare and time the implementations; yield a result for each part (forward, backward).

    Raises
    ------
    UserError
        If an implementation computes something else.
    """
    names = LAYOUTS if session.torch else ()
    others = {name: torch_ops.implement(case, name == CHANNELS_LAST) for name in names}
    yield from measure_implementations(case, session, scratchnet_ops.implement(case), others)


def measure_implementations(
    case: OpCase, session: Session, ours: OpImplementation, others: Mapping[str, OpImplementation]
) -> Iterator[Measurement]:
    """Compare and time scratchnet's implementation and others whose parts have the same names."""
    differences: dict[str, float] = {}
    for name, implementation in others.items():
        differences[name] = _difference(ours, implementation)
        if not differences[name] <= TOLERANCE:
            raise UserError(f"{case.name}: {name} is off by {differences[name]:.1e}; not timed")
    for part in ours.parts:
        calls = {name: implementation.parts[part] for name, implementation in {SCRATCHNET: ours, **others}.items()}
        for call in calls.values():
            call()
        yield Measurement(
            f"{case.name} {part}",
            case.flops(part),
            measure(calls, session.method),
            details={"part": part, "kind": case.kind, "shapes": case.shapes, "difference": differences},
        )


def _difference(ours: OpImplementation, other: OpImplementation) -> float:
    """Return the largest relative difference (Euclidean) among the results."""
    return max(
        float(np.linalg.norm((a - b).ravel()) / np.linalg.norm(b.ravel()))
        for a, b in zip(ours.results(), other.results(), strict=True)
    )
