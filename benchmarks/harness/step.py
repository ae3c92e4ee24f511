"""A training step (forward pass, loss, backward pass and update), timed in alternation with PyTorch.

Rates count the operations of the direct convolution, forward and both gradients, whatever algorithm a library uses.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from benchmarks.harness.agreement import (
    FLOAT32_GRADIENT_TOLERANCE,
    FLOAT32_TOLERANCE,
    FLOAT64_TOLERANCE,
    compare_in_float64,
    compare_steps,
    require_agreement,
)
from benchmarks.harness.implementation_names import CHANNELS_LAST, COMPILED, LAYOUTS, SCRATCHNET, TORCH
from benchmarks.harness.implementations import ScratchnetStep, TorchStep, build_scratchnet_step, build_torch_step
from benchmarks.harness.memory import measure_memory
from benchmarks.harness.network_cases import NetworkCase, has_single_pixel_batch_norm
from benchmarks.harness.processes import can_measure_memory
from benchmarks.harness.report import Measurement
from benchmarks.harness.session import Session
from benchmarks.harness.timing import measure
from scratchnet.config import OptimizerName
from scratchnet.utils.errors import UserError

WARM_UP = 3
"""Passes of scratchnet before the comparison: the first runs directly, the second is captured, the third replayed."""


def step_implementations(session: Session, compiled: bool) -> tuple[str, ...]:
    """Return the names of the implementations that are measured."""
    return (SCRATCHNET, *(LAYOUTS if session.torch else ()), *((COMPILED,) if session.torch and compiled else ()))


def measure_step(
    case: NetworkCase,
    session: Session,
    optimizer: OptimizerName,
    memory: bool,
    compiled: bool,
    say: Callable[[str], None],
) -> Measurement:
    """Build, compare and time the implementations.

    Parameters
    ----------
    memory, compiled : bool
        Whether to measure peak memory, and ``torch.compile``, if this machine supports them.
    say : function
        Called with a message if an implementation is left out.

    Raises
    ------
    UserError
        If the batch is too small for the network's batch norm, or PyTorch computes something else.
    """
    if has_single_pixel_batch_norm(case):
        raise UserError(f"{case.name}: batch norm cannot train on one pixel; use --batch 2 or more")
    ours = build_scratchnet_step(case, optimizer)
    for _ in range(WARM_UP):
        ours.gradients()
    agreements = require_float64_agreement(case, session)
    calls: dict[str, Callable[[], object]] = {SCRATCHNET: ours}
    for name in step_implementations(session, compiled)[1:]:
        theirs = build_torch_step(case, optimizer, name != TORCH, name == COMPILED)
        agreement = _compare(case, name, ours, theirs, say)
        if agreement:
            agreements[name], calls[name] = agreement, theirs
    for call in calls.values():
        call()
    timings = measure(calls, session.method)
    calls.clear()
    names = step_implementations(session, compiled=False) if memory and can_measure_memory() else ()
    memory_use = {name: measure_memory(name, case, optimizer) for name in names}
    details = {"network": case.to_dict(), "optimizer": optimizer, "agreement": agreements}
    return Measurement(case.name, step_flops(case), timings, memory_use, details)


def _compare(
    case: NetworkCase, name: str, ours: ScratchnetStep, theirs: TorchStep, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return the differences between two steps in float32; empty if ``torch.compile`` does not work here.

    Raises
    ------
    UserError
        If the differences are too large.
    """
    try:
        agreement = compare_steps(ours, theirs)
    except RuntimeError as error:  # from torch.compile, without a compiler or with an unsupported op
        if name != COMPILED:
            raise
        say(f"{case.name}: torch.compile is left out ({str(error).strip().partition(chr(10))[0]})")
        return {}
    require_agreement(case, name, agreement, FLOAT32_TOLERANCE, FLOAT32_GRADIENT_TOLERANCE)
    return asdict(agreement)


def require_float64_agreement(case: NetworkCase, session: Session) -> dict[str, Any]:
    """Raise a UserError if PyTorch's steps differ in float64; return the differences by name."""
    found: dict[str, Any] = {}
    for name in LAYOUTS if session.torch else ():
        exact = compare_in_float64(case, name == CHANNELS_LAST)
        if exact is not None:
            require_agreement(case, name, exact, FLOAT64_TOLERANCE, FLOAT64_TOLERANCE)
            found[f"{name}, float64"] = asdict(exact)
    return found


def step_flops(case: NetworkCase) -> int:
    """Count the operations of a step's products: forward, and the gradients that training needs.

    These are the gradients with respect to weights, and with respect to inputs that depend on parameters.
    """
    network = case.network()
    shapes = network.shapes(case.size, case.batch)
    needs_gradient = {"input": False}
    total = 0
    for step in network.steps:
        input_gradient = any(needs_gradient.get(name, False) for name in step.inputs)
        needs_gradient[step.name] = input_gradient or bool(step.layer.parameters)
        multiply_adds = step.layer.multiply_adds(*(shapes[name] for name in step.inputs))
        total += 2 * multiply_adds * (1 + bool(step.layer.parameters) + input_gradient)
    return total
