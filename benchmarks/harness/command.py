"""``scratchnet bench``: measure time and memory, compared with PyTorch on the same cores."""

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.harness import gpu, gpu_results
from benchmarks.harness.arguments import BenchArguments, OpsArguments, PeersArguments, SegmentArguments, StepArguments
from benchmarks.harness.implementation_names import LAYOUTS, SCRATCHNET
from benchmarks.harness.network_cases import DEFAULT_MODELS, NetworkCase
from benchmarks.harness.numpy_libraries import (
    FORWARD_BACKWARD,
    PACKAGES,
    installed_libraries,
    measure_against_libraries,
)
from benchmarks.harness.op_cases import build_op_cases, select_op_cases
from benchmarks.harness.ops import measure_op
from benchmarks.harness.report import MEASUREMENTS, Measurement, Table, write_json
from benchmarks.harness.segment import MODELS as SEGMENT_MODELS
from benchmarks.harness.segment import SIZE as SEGMENT_SIZE
from benchmarks.harness.segment import measure_segment
from benchmarks.harness.session import Session, set_threads, start_session
from benchmarks.harness.step import measure_step, step_implementations
from benchmarks.harness.table_cases import forward_case, table_cases
from scratchnet.cli.parsing import HELP, parse, say
from scratchnet.engine.device import array_module
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import check_writable
from scratchnet.utils.spelling import closest_name

USAGE = """usage: scratchnet bench ops [NAME…] [--batch N] [--json FILE]
       scratchnet bench step [--model NAME…] [--size HxW] [--batch N…] [--json FILE]
       scratchnet bench step --model all [--json FILE]
       scratchnet bench segment [--model NAME…] [--size HxW] [--json FILE]
       scratchnet bench peers [NAME…] [--batch N] [--json FILE]

`scratchnet bench step --help` describes the options of a command."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    if not words or words[0] in HELP:
        say(USAGE)
        return 0
    actions = {"ops": _ops, "step": _step, "segment": _segment, "peers": _peers}
    if words[0] not in actions:
        guess = closest_name(words[0], actions)
        raise UserError(f"'bench {words[0]}' is no command{guess}; choose one of: {', '.join(actions)}")
    return actions[words[0]](words[1:])


def _ops(words: Sequence[str]) -> int:
    a = parse(OpsArguments, words, "bench ops", "scratchnet bench ops conv max-pool --batch 4 --json ops.json")
    _check(a, batch=a.batch)
    chosen = select_op_cases(build_op_cases(a.batch), a.names)
    session = _open(a)
    names = [f"{case.name} with gradient" for case in chosen]
    table = Table(names, (SCRATCHNET, *(LAYOUTS if session.torch else ())), session.gemm_rate, memory=False)
    return _report(a, session, table, (row for case in chosen for row in measure_op(case, session)))


def _peers(words: Sequence[str]) -> int:
    a = parse(PeersArguments, words, "bench peers", "scratchnet bench peers conv max-pool --json peers.json")
    _check(a, batch=a.batch)
    chosen = select_op_cases(build_op_cases(a.batch), a.names)
    installed = installed_libraries()
    for name in PACKAGES:
        if name not in installed:
            say(f"{name} is not installed and left out (`pip install {PACKAGES[name]}`)")
    if not installed:
        return 0
    session = _open(a)
    table = Table(
        [f"{case.name} {FORWARD_BACKWARD}" for case in chosen],
        (SCRATCHNET, *installed),
        session.gemm_rate,
        memory=False,
    )
    return _report(a, session, table, (row for case in chosen for row in measure_against_libraries(case, session)))


def _step(words: Sequence[str]) -> int:
    a = parse(StepArguments, words, "bench step", "scratchnet bench step --model bloodcell --batch 8 --json step.json")
    _check(a, batch=min(a.batch, default=1))
    found = table_cases() if a.whole_table() else a.cases(DEFAULT_MODELS, None, a.batch or (None,))
    cases = [replace(case, activation_checkpointing=a.activation_checkpointing) for case in found]
    if a.device == "gpu":
        return _step_on_gpu(a, cases)
    session = _open(a)
    names = [case.name for case in cases] + [_forward_name()] * a.whole_table()
    table = Table(names, step_implementations(session, a.compile), session.gemm_rate, a.memory)
    return _report(a, session, table, _step_rows(a, session, cases))


def _step_rows(a: StepArguments, session: Session, cases: Sequence[NetworkCase]) -> Iterator[Measurement]:
    """Measure the training steps, and in the whole table also the forward pass."""
    for case in cases:
        yield measure_step(case, session, a.optimizer, a.memory, a.compile, say)
    if a.whole_table():
        yield replace(measure_segment(forward_case(), session, a.memory), case=_forward_name())


def _forward_name() -> str:
    return f"{forward_case().name}, forward pass only"


def _step_on_gpu(a: StepArguments, cases: Sequence[NetworkCase]) -> int:
    """Measure steps on a GPU; the exit code is 1 if a configuration computes something else."""
    array_module("gpu")  # raises an error at once if there is no GPU
    _check_file(a)
    torch = importlib.util.find_spec("torch") is not None
    rows: list[dict[str, Any]] = []
    agreed = True
    for case in cases:
        measured: list[dict[str, Any]] = []
        for results in gpu.measure_all(case, a.optimizer, a.repeats or (3 if a.quick else 10), torch, say):
            measured = [gpu_results.row(case, results)]
            if a.json:  # after each configuration, so that an interruption does not lose results
                gpu_results.write(a.json, rows + measured)
        rows += measured
        agreed = agreed and not any(row["objections"] for row in measured)
        say("")
    if a.json and rows:
        say(f"wrote {a.json}")
    return int(not agreed)


def _segment(words: Sequence[str]) -> int:
    a = parse(SegmentArguments, words, "bench segment", "scratchnet bench segment --model bloodcell --size 1024")
    _check(a)
    cases = a.cases(SEGMENT_MODELS, SEGMENT_SIZE, (1,))
    session = _open(a)
    table = Table([case.name for case in cases], step_implementations(session, False), session.gemm_rate, a.memory)
    return _report(a, session, table, (measure_segment(case, session, a.memory) for case in cases))


def _check(a: BenchArguments, **counts: int | None) -> None:
    """Check that counts are at least 1, and set the number of threads."""
    for flag, value in {"threads": a.threads, "repeats": a.repeats, **counts}.items():
        if value is not None and not 1 <= value <= 100_000:
            raise UserError(f"--{flag} {value}: expected 1 to 100000")
    if a.threads is not None:
        set_threads(a.threads)


def _check_file(a: BenchArguments) -> None:
    """Check that the JSON file can be written, before the measurements."""
    if a.json:
        check_writable(a.json, MEASUREMENTS)


def _open(a: BenchArguments) -> Session:
    """Measure the peak GEMM rate and print a description of the machine."""
    _check_file(a)
    session = start_session(a.repeats, a.quick)
    say(f"{session.heading()}\n")
    return session


def _report(a: BenchArguments, session: Session, table: Table, measured: Iterable[Measurement]) -> int:
    """Print each row as soon as it is measured; then warn of background load and write the JSON file."""
    say(table.heading())
    rows: list[Measurement] = []
    for row in measured:
        rows.append(row)
        say(table.line(row))
    blocks = sum(len(t.blocks) for row in rows for t in row.timings.values())
    disturbed = sum(t.disturbed for row in rows for t in row.timings.values())
    if disturbed:
        say(
            f"\nother programs used the processor during {disturbed} of {blocks} blocks, even after repetition"
            + (
                " (rows with * are unreliable)"
                if any(t.unreliable for row in rows for t in row.timings.values())
                else ""
            )
        )
    if a.json:
        write_json(a.json, session.about(), rows, session.gemm_rate)
        say(f"\nwrote {a.json}")
    return 0
