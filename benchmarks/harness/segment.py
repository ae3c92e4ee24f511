"""Segmentation of one large image (forward pass only), timed in alternation with PyTorch."""

from collections.abc import Callable
from typing import Any

from benchmarks.harness.agreement import FLOAT32_TOLERANCE, compare_outputs
from benchmarks.harness.implementation_names import CHANNELS_LAST, SCRATCHNET
from benchmarks.harness.implementations import build_scratchnet_forward, build_torch_forward
from benchmarks.harness.memory import measure_memory
from benchmarks.harness.network_cases import NetworkCase
from benchmarks.harness.processes import can_measure_memory
from benchmarks.harness.report import Measurement
from benchmarks.harness.session import Session
from benchmarks.harness.step import WARM_UP, require_float64_agreement, step_implementations
from benchmarks.harness.timing import measure
from scratchnet.network.summary import summarize
from scratchnet.utils.errors import UserError

SIZE = (1024, 1024)
MODELS = ("bloodcell", "vgg16-mirror")
"""Models that are measured if none is named."""


def measure_segment(case: NetworkCase, session: Session, memory: bool) -> Measurement:
    """Build, compare and time the implementations.

    Raises
    ------
    UserError
        If the network takes images of one size only, or PyTorch computes something else.
    """
    network = case.network()
    if network.fixed_size:
        raise UserError(f"model '{case.model}' takes images of one size only; larger ones are segmented in tiles")
    agreements = require_float64_agreement(case, session)
    ours = build_scratchnet_forward(case)
    for _ in range(WARM_UP):
        ours()
    calls: dict[str, Callable[[], object]] = {SCRATCHNET: ours}
    names = step_implementations(session, compiled=False)
    for name in names[1:]:
        theirs = build_torch_forward(case, name == CHANNELS_LAST)
        agreements[name] = {"output": compare_outputs(ours, theirs)}
        if not agreements[name]["output"] <= FLOAT32_TOLERANCE:
            raise UserError(f"{case.name}: the output of {name} is off by {agreements[name]['output']:.1e}; not timed")
        calls[name] = theirs
    timings = measure(calls, session.method)
    calls.clear()
    memory_use = {name: measure_memory(name, case, None) for name in names} if memory and can_measure_memory() else {}
    details: dict[str, Any] = {"network": case.to_dict(), "agreement": agreements}
    return Measurement(case.name, summarize(network, case.size, case.batch).flops, timings, memory_use, details)
