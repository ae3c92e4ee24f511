"""A training step on a GPU, beside PyTorch on the same card.

Like is compared with like: products in float32, in TF32, and in bfloat16, PyTorch each time in both of its layouts with
cuDNN choosing its quickest algorithms. PyTorch's bfloat16 is its automatic mixed precision, which stores many
activations in half the space; ours shortens the numbers that are multiplied and stores float32.

Every contestant has a process and the GPU to itself. A few steps warm up, then each step is timed by events that the
GPU writes down between its kernels. The memory is the most that the library's allocator took from the GPU.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from scratchnet.bench.cases import NetworkCase
from scratchnet.bench.contestants import Batch, OurStep, TorchStep, build_ours, make_batch, started
from scratchnet.bench.machine import machine, occasion, versions
from scratchnet.bench.step import step_flops
from scratchnet.bench.timing import spread
from scratchnet.bench.torch_twin import TorchTwin, parameter_values
from scratchnet.config import OptimizerName
from scratchnet.device import array_module
from scratchnet.files import atomic_write
from scratchnet.modes import MatrixPrecision, matrix_precision

PRECISIONS: tuple[MatrixPrecision, ...] = ("float32", "tf32", "bf16")

WARM_UP = 3


@dataclass(frozen=True)
class Contestant:
    """A library in one of its ways.

    Attributes
    ----------
    library : "scratchnet" or "torch"
    precision : "float32", "tf32" or "bf16"
    channels_last : bool
        PyTorch's layout; ours is always that.
    """

    library: str
    precision: MatrixPrecision
    channels_last: bool = True

    @property
    def name(self) -> str:
        """As in the table."""
        layout = " channels_last" if self.library == "torch" and self.channels_last else ""
        return f"{self.library} {self.precision}{layout}"


@dataclass(frozen=True)
class Result:
    """What a contestant took.

    Attributes
    ----------
    seconds : tuple of float
        Of each step.
    peak : int
        Bytes that the allocator took from the GPU.
    losses : tuple of float
        Of the first two steps, by which one sees that all compute the same.
    """

    seconds: tuple[float, ...]
    peak: int
    losses: tuple[float, ...]


def contestants(torch: bool) -> list[Contestant]:
    """Return all who take part."""
    ours = [Contestant("scratchnet", precision) for precision in PRECISIONS]
    theirs = [Contestant("torch", precision, last) for precision in PRECISIONS for last in (False, True)]
    return ours + theirs if torch else ours


def measure_in_process(contestant: Contestant, case: NetworkCase, optimizer: OptimizerName, steps: int) -> Result:
    """Measure in a new process; a RuntimeError holds the last line of what went wrong there."""
    job = {"contestant": asdict(contestant), "case": case.plain(), "optimizer": optimizer, "steps": steps}
    command = [sys.executable, "-m", "scratchnet.bench.gpu", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    found = json.loads(done.stdout)
    return Result(tuple(found["seconds"]), found["peak"], tuple(found["losses"]))


def measure(contestant: Contestant, case: NetworkCase, optimizer: OptimizerName, steps: int) -> Result:
    """Measure in this process."""
    return (_measure_ours if contestant.library == "scratchnet" else _measure_torch)(contestant, case, optimizer, steps)


def _measure_ours(contestant: Contestant, case: NetworkCase, optimizer: OptimizerName, steps: int) -> Result:
    xp = array_module("gpu")
    step = to_gpu(build_ours(case, optimizer), xp)
    with matrix_precision(contestant.precision):
        losses, seconds = _run(step, lambda: step.gradients()[1], xp.cuda.Event, steps, _between_in_cupy)
    return Result(seconds, int(xp.get_default_memory_pool().total_bytes()), losses)


def to_gpu(step: OurStep, xp: Any) -> OurStep:
    """Move a step's network and batch."""
    step.network.to(xp)
    step.batch = Batch(xp.asarray(step.batch.x), xp.asarray(step.batch.target))
    return step


def _measure_torch(contestant: Contestant, case: NetworkCase, optimizer: OptimizerName, steps: int) -> Result:
    import torch

    torch.backends.cudnn.benchmark = True
    for backend in (torch.backends.cudnn, torch.backends.cuda.matmul):
        backend.allow_tf32 = contestant.precision != "float32"
    twin = TorchTwin(case.network(), parameter_values(started(case)), contestant.channels_last, "cuda")
    half = contestant.precision == "bf16"
    step = HalfStep(twin, make_batch(case), optimizer) if half else TorchStep(twin, make_batch(case), optimizer)
    losses, seconds = _run(
        step,
        lambda: step.gradients()[1],
        lambda: torch.cuda.Event(enable_timing=True),
        steps,
        lambda begin, end: begin.elapsed_time(end),
    )
    return Result(seconds, torch.cuda.max_memory_reserved(), losses)


class HalfStep(TorchStep):
    """A step in PyTorch's automatic mixed precision; the backward pass follows the forward's choices by itself."""

    def __init__(self, twin: TorchTwin, batch: Batch, optimizer: OptimizerName) -> None:
        super().__init__(twin, batch, optimizer)
        whole = self.forward

        def forward(x: Any) -> Any:
            with twin.torch.autocast(twin.device, twin.torch.bfloat16):
                return whole(x).float()

        self.forward = forward


def _run(
    step: Callable[[], None],
    loss: Callable[[], Any],
    event: Callable[[], Any],
    steps: int,
    between: Callable[[Any, Any], float],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the losses before and after a first step, and the seconds of each of ``steps``."""
    first = float(loss())
    step()
    second = float(loss())
    for _ in range(WARM_UP):
        step()
    marks = [event() for _ in range(steps + 1)]
    marks[0].record()
    for mark in marks[1:]:
        step()
        mark.record()
    marks[-1].synchronize()
    seconds = (between(begin, end) / 1e3 for begin, end in pairwise(marks))
    return (first, second), tuple(seconds)


def _between_in_cupy(begin: Any, end: Any) -> float:
    import cupy

    return float(cupy.cuda.get_elapsed_time(begin, end))


def row(case: NetworkCase, results: dict[str, Result]) -> dict[str, Any]:
    """Return a row of the JSON file."""
    flops = step_flops(case)
    found = {}
    for name, result in results.items():
        seconds = median(result.seconds)
        found[name] = {
            "seconds": seconds,
            "quartiles": list(spread(result.seconds)),
            "steps": list(result.seconds),
            "teraflops": flops / seconds / 1e12,
            "peak_bytes": result.peak,
            "losses": list(result.losses),
        }
    return {"case": case.name, "network": case.plain(), "flops": flops, "contestants": found, "ratios": ratios(results)}


def ratios(results: dict[str, Result]) -> dict[str, float]:
    """Return for each precision our median time divided by that of PyTorch's faster layout."""
    found: dict[str, float] = {}
    for precision in PRECISIONS:
        ours = results.get(Contestant("scratchnet", precision).name)
        theirs = [results.get(Contestant("torch", precision, last).name) for last in (False, True)]
        times = [median(result.seconds) for result in theirs if result]
        if ours and times:
            found[precision] = median(ours.seconds) / min(times)
    return found


def write(path: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the JSON file: the GPU, versions, and every row."""
    xp: Any = array_module("gpu")
    name = xp.cuda.runtime.getDeviceProperties(0)["name"].decode()
    card = {"gpu": name, "cuda": xp.cuda.runtime.runtimeGetVersion(), "cupy": xp.__version__}
    content = {**occasion(), "machine": machine() | card, "versions": versions(), "warm_up": WARM_UP, "rows": rows}
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


HEADING = f"{'':<30}{'ms':>9}{'(quartiles)':>18}{'TFLOP/s':>9}{'peak GB':>9}   loss, after a step"


def line(name: str, result: Result, flops: int) -> str:
    """Return a contestant's line of the table."""
    seconds = median(result.seconds)
    between = "({:.1f}–{:.1f})".format(*(1e3 * q for q in spread(result.seconds)))
    losses = ", ".join(f"{loss:.4f}" for loss in result.losses)
    rate = f"{flops / seconds / 1e12:.1f}"
    return f"{name:<30}{1e3 * seconds:>9.1f}{between:>18}{rate:>9}{result.peak / 1e9:>9.2f}   {losses}"


def measure_all(
    case: NetworkCase, optimizer: OptimizerName, steps: int, torch: bool, say: Callable[[str], None]
) -> dict[str, Result]:
    """Measure one after the other, and print the table meanwhile; who fails is named and left out."""
    results: dict[str, Result] = {}
    flops = step_flops(case)
    say(f"{case.name}\n{HEADING}")
    for contestant in contestants(torch):
        try:
            results[contestant.name] = measure_in_process(contestant, case, optimizer, steps)
            say(line(contestant.name, results[contestant.name], flops))
        except RuntimeError as error:
            say(f"{contestant.name} does not take part: {error}")
    for precision, ratio in ratios(results).items():
        say(f"{precision}: {ratio:.2f} of the time of PyTorch's faster layout")
    return results


def main(job: dict[str, Any]) -> None:
    """Measure and print the result as JSON."""
    contestant, case = Contestant(**job["contestant"]), NetworkCase.of(job["case"])
    print(json.dumps(asdict(measure(contestant, case, job["optimizer"], job["steps"]))))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
