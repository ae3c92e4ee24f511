"""Segmenting one large image: the forward pass alone, timed side by side."""

from collections.abc import Callable
from typing import Any

from benchmarks.harness.agreement import ROUNDED, compare_outputs
from benchmarks.harness.implementation_names import CHANNELS_LAST, OURS
from benchmarks.harness.implementations import our_forward, torch_forward
from benchmarks.harness.memory import peak_memory
from benchmarks.harness.network_cases import NetworkCase
from benchmarks.harness.processes import can_measure_memory
from benchmarks.harness.report import Row
from benchmarks.harness.session import Session
from benchmarks.harness.step import WARM_UP, require_exact_agreement, step_contestants
from benchmarks.harness.timing import measure
from scratchnet.network.summary import summarize
from scratchnet.utils.errors import UserError

SIZE = (1024, 1024)
MODELS = ("bloodcell", "vgg16-mirror")
"""Of a run that names none."""


def measure_segment(case: NetworkCase, session: Session, memory: bool) -> Row:
    """Build, compare and time the contestants.

    Raises
    ------
    UserError
        When the network takes images of one size only, or PyTorch's side computes something else.
    """
    network = case.network()
    if network.fixed_size:
        raise UserError(f"model '{case.model}' takes images of one size only; larger ones are segmented in tiles")
    agreements = require_exact_agreement(case, session)
    ours = our_forward(case)
    for _ in range(WARM_UP):
        ours()
    calls: dict[str, Callable[[], object]] = {OURS: ours}
    names = step_contestants(session, compiled=False)
    for name in names[1:]:
        theirs = torch_forward(case, name == CHANNELS_LAST)
        agreements[name] = {"output": compare_outputs(ours, theirs)}
        if not agreements[name]["output"] <= ROUNDED:
            raise UserError(f"{case.name}: the output of {name} is off by {agreements[name]['output']:.1e}; not timed")
        calls[name] = theirs
    timings = measure(calls, session.method)
    calls.clear()
    peaks = {name: peak_memory(name, case, None) for name in names} if memory and can_measure_memory() else {}
    details: dict[str, Any] = {"network": case.plain(), "agreement": agreements}
    return Row(case.name, summarize(network, case.size, case.batch).flops, timings, peaks, details)
