"""``scratchnet bench``: how long things take here, beside PyTorch on the same cores."""

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.harness import gpu, gpu_results
from benchmarks.harness.arguments import BenchArguments, OpsArguments, PeersArguments, SegmentArguments, StepArguments
from benchmarks.harness.implementation_names import LAYOUTS, OURS
from benchmarks.harness.network_cases import DEFAULTS, NetworkCase
from benchmarks.harness.numpy_libraries import BOTH, MODULES, installed, measure_beside_peers
from benchmarks.harness.op_cases import choose, problems
from benchmarks.harness.ops import measure_problem
from benchmarks.harness.report import MEASUREMENTS, Row, Table, write_json
from benchmarks.harness.segment import MODELS as SEGMENT_MODELS
from benchmarks.harness.segment import SIZE as SEGMENT_SIZE
from benchmarks.harness.segment import measure_segment
from benchmarks.harness.session import Session, open_session, set_threads
from benchmarks.harness.step import measure_step, step_contestants
from scratchnet.cli.parsing import HELP, parse, say
from scratchnet.engine.device import array_module
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import check_writable
from scratchnet.utils.spelling import closest_name

USAGE = """usage: scratchnet bench ops [NAME…] [--batch N] [--json FILE]
       scratchnet bench step [--model NAME…] [--size HxW] [--batch N…] [--json FILE]
       scratchnet bench segment [--model NAME…] [--size HxW] [--json FILE]
       scratchnet bench peers [NAME…] [--batch N] [--json FILE]

`scratchnet bench step --help` and so on tell more."""


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
    chosen = choose(problems(a.batch), a.names)
    session = _open(a)
    names = [f"{problem.name} with gradient" for problem in chosen]
    table = Table(names, (OURS, *(LAYOUTS if session.torch else ())), session.ceiling, memory=False)
    return _report(a, session, table, (row for problem in chosen for row in measure_problem(problem, session)))


def _peers(words: Sequence[str]) -> int:
    a = parse(PeersArguments, words, "bench peers", "scratchnet bench peers conv max-pool --json peers.json")
    _check(a, batch=a.batch)
    chosen = choose(problems(a.batch), a.names)
    here = installed()
    for name in MODULES:
        if name not in here:
            say(f"{name} is not installed and left out (`pip install {MODULES[name]}`)")
    if not here:
        return 0
    session = _open(a)
    table = Table([f"{problem.name} {BOTH}" for problem in chosen], (OURS, *here), session.ceiling, memory=False)
    return _report(a, session, table, (row for problem in chosen for row in measure_beside_peers(problem, session)))


def _step(words: Sequence[str]) -> int:
    a = parse(StepArguments, words, "bench step", "scratchnet bench step --model bloodcell --batch 8 --json step.json")
    _check(a, batch=min(a.batch, default=1))
    found = a.cases(DEFAULTS, None, a.batch or (None,))
    cases = [replace(case, activation_checkpointing=a.activation_checkpointing) for case in found]
    if a.device == "gpu":
        return _step_on_gpu(a, cases)
    session = _open(a)
    table = Table([case.name for case in cases], step_contestants(session, a.compile), session.ceiling, a.memory)
    rows = (measure_step(case, session, a.optimizer, a.memory, a.compile, say) for case in cases)
    return _report(a, session, table, rows)


def _step_on_gpu(a: StepArguments, cases: Sequence[NetworkCase]) -> int:
    """Measure steps on a GPU; the exit code is 1 when a contestant computes something else."""
    array_module("gpu")  # a GPU that is not there shows before anything is built
    _check_file(a)
    torch = importlib.util.find_spec("torch") is not None
    rows: list[dict[str, Any]] = []
    agreed = True
    for case in cases:
        measured: list[dict[str, Any]] = []
        for results in gpu.measure_all(case, a.optimizer, a.repeats or (3 if a.quick else 10), torch, say):
            measured = [gpu_results.row(case, results)]
            if a.json:  # what has been measured is not lost with what has not
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
    table = Table([case.name for case in cases], step_contestants(session, False), session.ceiling, a.memory)
    return _report(a, session, table, (measure_segment(case, session, a.memory) for case in cases))


def _check(a: BenchArguments, **counts: int | None) -> None:
    """Refuse counts under 1."""
    for flag, value in {"threads": a.threads, "repeats": a.repeats, **counts}.items():
        if value is not None and not 1 <= value <= 100_000:
            raise UserError(f"--{flag} {value}: expected 1 to 100000")
    if a.threads is not None:
        set_threads(a.threads)


def _check_file(a: BenchArguments) -> None:
    """Refuse a file that cannot be written before minutes are measured for it."""
    if a.json:
        check_writable(a.json, MEASUREMENTS)


def _open(a: BenchArguments) -> Session:
    """Measure the ceiling and say what the run is made on."""
    _check_file(a)
    session = open_session(a.repeats, a.quick)
    say(f"{session.heading()}\n")
    return session


def _report(a: BenchArguments, session: Session, table: Table, measured: Iterable[Row]) -> int:
    """Print every row as soon as it is measured; then warn of a busy machine and write the file."""
    say(table.heading())
    rows: list[Row] = []
    for row in measured:
        rows.append(row)
        say(table.line(row))
    blocks = sum(len(t.blocks) for row in rows for t in row.timings.values())
    disturbed = sum(t.disturbed for row in rows for t in row.timings.values())
    if disturbed:
        say(
            f"\nother programs used the processor during {disturbed} of {blocks} blocks, even after repetition"
            + (" (rows with * are doubtful)" if any(t.doubtful for row in rows for t in row.timings.values()) else "")
        )
    if a.json:
        write_json(a.json, session.about(), rows, session.ceiling)
        say(f"\nwrote {a.json}")
    return 0
