"""A whole training step, forward, loss, backward and update, timed side by side.

Rates count the operations of the direct convolution, forward and both gradients, whatever a library does instead.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from benchmarks.harness.agreement import EXACT, ROUNDED, ROUNDED_GRADIENT, compare, compare_exactly, require
from benchmarks.harness.implementation_names import CHANNELS_LAST, COMPILED, LAYOUTS, OURS, TORCH
from benchmarks.harness.implementations import build_ours, build_torch
from benchmarks.harness.memory import peak_memory
from benchmarks.harness.network_cases import NetworkCase, normalizes_one_number
from benchmarks.harness.processes import can_measure_memory
from benchmarks.harness.report import Row
from benchmarks.harness.session import Session
from benchmarks.harness.timing import measure
from scratchnet.config import OptimizerName
from scratchnet.utils.errors import UserError

WARM_UP = 3
"""Our passes before the comparison: the first runs, the second is recorded, the third is replayed."""


def step_contestants(session: Session, compiled: bool) -> tuple[str, ...]:
    """Return the names of those that take part."""
    return (OURS, *(LAYOUTS if session.torch else ()), *((COMPILED,) if session.torch and compiled else ()))


def measure_step(
    case: NetworkCase,
    session: Session,
    optimizer: OptimizerName,
    memory: bool,
    compiled: bool,
    say: Callable[[str], None],
) -> Row:
    """Build, compare and time the contestants.

    Parameters
    ----------
    case : NetworkCase
    session : Session
    optimizer : "sgd" or "adam"
    memory : bool
        Whether to measure peak memory, where the system can.
    compiled : bool
        Whether ``torch.compile`` takes part, where it works.
    say : function
        Told why a contestant is missing.

    Raises
    ------
    UserError
        When the batch is too small for the network's batch norm, or PyTorch's side computes something else.
    """
    if normalizes_one_number(case):
        raise UserError(f"{case.name}: batch norm cannot train on one pixel; use --batch 2 or more")
    ours = build_ours(case, optimizer)
    for _ in range(WARM_UP):
        ours.gradients()
    calls: dict[str, Callable[[], object]] = {OURS: ours}
    agreements = require_exact_agreement(case, session)
    for name in step_contestants(session, compiled)[1:]:
        theirs = build_torch(case, optimizer, name != TORCH, name == COMPILED)
        try:
            agreement = compare(ours, theirs)
        except RuntimeError as error:  # what torch.compile raises when it finds no compiler, or an op it cannot do
            if name != COMPILED:
                raise
            say(f"{case.name}: torch.compile does not take part ({str(error).strip().partition(chr(10))[0]})")
            continue
        require(case, name, agreement, ROUNDED, ROUNDED_GRADIENT)
        agreements[name] = asdict(agreement)
        calls[name] = theirs
    for call in calls.values():
        call()
    timings = measure(calls, session.method)
    calls.clear()
    names = step_contestants(session, compiled=False) if memory and can_measure_memory() else ()
    peaks = {name: peak_memory(name, case, optimizer) for name in names}
    details = {"network": case.plain(), "optimizer": optimizer, "agreement": agreements}
    return Row(case.name, step_flops(case), timings, peaks, details)


def require_exact_agreement(case: NetworkCase, session: Session) -> dict[str, Any]:
    """Refuse a twin whose steps differ in float64; return the differences by name."""
    found: dict[str, Any] = {}
    for name in LAYOUTS if session.torch else ():
        exact = compare_exactly(case, name == CHANNELS_LAST)
        if exact is not None:
            require(case, name, exact, EXACT, EXACT)
            found[f"{name}, float64"] = asdict(exact)
    return found


def step_flops(case: NetworkCase) -> int:
    """Count the operations of a step's products: forward, gradient by weight, and by input where something learns."""
    network = case.network()
    shapes = network.shapes(case.size, case.batch)
    learns = {"input": False}
    total = 0
    for step in network.steps:
        below = any(learns.get(name, False) for name in step.inputs)
        learns[step.name] = below or bool(step.layer.parameters)
        products = step.layer.multiply_adds(*(shapes[name] for name in step.inputs))
        total += 2 * products * (1 + bool(step.layer.parameters) + below)
    return total
