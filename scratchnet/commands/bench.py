"""``scratchnet bench``: how long things take here, beside PyTorch on the same cores."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import tyro

from scratchnet.bench import gpu, gpu_results
from scratchnet.bench.cases import DEFAULTS, NetworkCase, network_case
from scratchnet.bench.names import LAYOUTS, OURS
from scratchnet.bench.ops import measure_problem
from scratchnet.bench.peers import BOTH, MODULES, installed, measure_beside_peers
from scratchnet.bench.problems import choose, problems
from scratchnet.bench.results import Row, Table, write_json
from scratchnet.bench.segment import MODELS as SEGMENT_MODELS
from scratchnet.bench.segment import SIZE as SEGMENT_SIZE
from scratchnet.bench.segment import measure_segment
from scratchnet.bench.session import Session, open_session, set_threads
from scratchnet.bench.step import measure_step, step_contestants
from scratchnet.commands.parsing import parse, parse_size, say
from scratchnet.config import ModelSettings, OptimizerName
from scratchnet.device import DeviceName, array_module
from scratchnet.errors import UserError
from scratchnet.files import check_writable
from scratchnet.ops.geometry import Pair


@dataclass(frozen=True)
class BenchArguments:
    """What all of them share."""

    json: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Write every row, with its ratios and spread, the machine, versions and date."""
    threads: int | None = None
    """Cores to use, PyTorch as well. Default: SCRATCHNET_THREADS, or all."""
    repeats: int | None = None
    """Blocks of calls a contestant. Default: 9."""
    quick: bool = False
    """Few and short blocks: to see that everything runs."""


@dataclass(frozen=True)
class NetworkArguments(BenchArguments):
    """What measurements of whole networks share."""

    model: tuple[str, ...] = ()
    """Models, or vgg16-mirror: DeconvNet at the paper's size without its fully connected layers."""
    size: str | None = None
    """Size of the images, HxW or one number."""
    classes: int | None = None
    """Number of classes. Default: 2, or 21 for vgg16-mirror."""
    batch_norm: bool | None = None
    """bloodcell, unet, unet-same, fcn32s, fcn16s, fcn8s: batch norm behind every convolution. Default: on."""
    unpool: Literal["switches", "nearest", "transposed"] | None = None
    """Of the models that know several ways, see `scratchnet models`."""
    width: float | None = None
    """A factor on all numbers of filters; for deconvnet-small and squares the filters of the first layer."""
    memory: bool = True
    """Measure peak memory too, each contestant in a process of its own."""

    def cases(self, models: Sequence[str], size: Pair | None, batches: Sequence[int | None]) -> list[NetworkCase]:
        """Return every model with every batch; ``models`` and ``size`` are what is taken without the flags."""
        if self.classes is not None and not 2 <= self.classes <= 256:
            raise UserError(f"--classes {self.classes}: expected 2 to 256, the background included")
        size = parse_size(self.size) if self.size else size
        chosen = ModelSettings(batch_norm=self.batch_norm, unpool=self.unpool, width=self.width).options()
        return [
            network_case(model, size, batch, self.classes, chosen)
            for model in self.model or models
            for batch in batches
        ]


@dataclass(frozen=True)
class StepArguments(NetworkArguments):
    """Measure whole training steps (forward, loss, backward, update): time, rate and peak memory.

    Default: deconvnet-small and bloodcell on 8 images of 128x128.
    """

    batch: tuple[int, ...] = ()
    """Images a batch; several numbers measure each. Default: 8, or 1 for images above 128x128."""
    optimizer: OptimizerName = "sgd"
    """sgd (with momentum and weight decay) or adam."""
    recompute: bool = False
    """Measure our step with recomputation: less memory, up to a third more time (see `scratchnet train --help`)."""
    compile: bool = False
    """Let torch.compile take part; it needs a C++ compiler and minutes."""
    device: DeviceName = "cpu"
    """gpu: beside PyTorch on the same card, in float32, TF32 and bfloat16; --repeats are steps then."""


@dataclass(frozen=True)
class SegmentArguments(NetworkArguments):
    """Measure the segmentation of one large image: forward only; time, rate and peak memory.

    Default: bloodcell and vgg16-mirror on an image of 1024x1024.
    """


@dataclass(frozen=True)
class OpsArguments(BenchArguments):
    """Measure single operations, forward and backward: convolutions, pooling, batch norm, losses, updates."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME…")] = ()
    """Only operations whose name contains one of these words."""
    batch: int = 4
    """Images a batch."""


@dataclass(frozen=True)
class PeersArguments(OpsArguments):
    """Measure single operations beside other libraries in NumPy alone: DeZero and MyGrad, where they are installed."""

    batch: int = 1
    """Images a batch."""


USAGE = """usage: scratchnet bench ops [NAME…] [--batch N] [--json FILE]
       scratchnet bench step [--model NAME…] [--size HxW] [--batch N…] [--json FILE]
       scratchnet bench segment [--model NAME…] [--size HxW] [--json FILE]
       scratchnet bench peers [NAME…] [--batch N] [--json FILE]

`scratchnet bench step --help` and so on tell more."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    if not words or words[0] in ("-h", "--help"):
        say(USAGE)
        return 0
    actions = {"ops": _ops, "step": _step, "segment": _segment, "peers": _peers}
    if words[0] not in actions:
        raise UserError(f"'bench {words[0]}' is no command; choose one of: {', '.join(actions)}")
    return actions[words[0]](words[1:])


def _ops(words: Sequence[str]) -> int:
    a = parse(OpsArguments, words, "bench ops", "scratchnet bench ops conv max-pool --batch 4 --json ops.json")
    _check(a, batch=a.batch)
    chosen = choose(problems(a.batch), a.names)
    session = _open(a)
    names = [f"{problem.name} with gradient" for problem in chosen]
    table = Table(names, (OURS, *(LAYOUTS if session.torch else ())), session.ceiling, memory=False)
    say(table.heading())
    rows: list[Row] = []
    for problem in chosen:
        for row in measure_problem(problem, session):
            rows.append(row)
            say(table.line(row))
    return _finish(a, session, rows)


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
    say(table.heading())
    rows: list[Row] = []
    for problem in chosen:
        for row in measure_beside_peers(problem, session):
            rows.append(row)
            say(table.line(row))
    return _finish(a, session, rows)


def _step(words: Sequence[str]) -> int:
    a = parse(StepArguments, words, "bench step", "scratchnet bench step --model bloodcell --batch 8 --json step.json")
    _check(a, batch=min(a.batch, default=1))
    cases = [replace(case, recompute=a.recompute) for case in a.cases(DEFAULTS, None, a.batch or (None,))]
    if a.device == "gpu":
        return _step_on_gpu(a, cases)
    session = _open(a)
    table = Table([case.name for case in cases], step_contestants(session, a.compile), session.ceiling, a.memory)
    say(table.heading())
    rows: list[Row] = []
    for case in cases:
        rows.append(measure_step(case, session, a.optimizer, a.memory, a.compile, say))
        say(table.line(rows[-1]))
    return _finish(a, session, rows)


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
    say(table.heading())
    rows: list[Row] = []
    for case in cases:
        rows.append(measure_segment(case, session, a.memory))
        say(table.line(rows[-1]))
    return _finish(a, session, rows)


def _check(a: BenchArguments, **counts: int | None) -> None:
    """Refuse counts under 1."""
    for flag, value in {"threads": a.threads, "repeats": a.repeats, **counts}.items():
        if value is not None and value < 1:
            raise UserError(f"--{flag} {value}: expected at least 1")
    if a.threads is not None:
        set_threads(a.threads)


def _check_file(a: BenchArguments) -> None:
    """Refuse a file that cannot be written before minutes are measured for it."""
    if a.json:
        check_writable(a.json)


def _open(a: BenchArguments) -> Session:
    """Measure the ceiling and say what the run is made on."""
    _check_file(a)
    session = open_session(a.repeats, a.quick)
    say(f"{session.heading()}\n")
    return session


def _finish(a: BenchArguments, session: Session, rows: Sequence[Row]) -> int:
    """Warn of a busy machine and write the file."""
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
