"""A training step on a GPU, beside PyTorch on the same card.

Like is compared with like: products in float32, in TF32, and in bfloat16, PyTorch each time in both of its layouts with
cuDNN choosing its quickest algorithms. PyTorch's bfloat16 is its automatic mixed precision, which stores many
activations in half the space; ours shortens the numbers that are multiplied and stores float32.

Who computes something else is named, and its time compared with none (:mod:`benchmarks.harness.step_results`).

Every contestant has a process and the GPU to itself. A few steps warm up, then each step is timed by events that the
GPU writes down between its kernels. The memory is the most that the library's allocator took from the GPU.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.agreement import small_case
from benchmarks.harness.gpu_results import (
    HEADING,
    PRECISIONS,
    REFERENCE,
    Contestant,
    Result,
    line,
    objections,
    ratios,
)
from benchmarks.harness.implementations import Batch, OurStep, TorchStep, build_ours, make_batch, started
from benchmarks.harness.network_cases import NetworkCase
from benchmarks.harness.step import step_flops
from benchmarks.harness.step_results import of_ours, of_torch, packed, unpacked
from benchmarks.harness.torch_network import TorchTwin, parameter_values
from scratchnet.config import OptimizerName
from scratchnet.engine.device import array_module
from scratchnet.engine.modes import matrix_precision

WARM_UP = 3


def contestants(torch: bool) -> list[Contestant]:
    """Return all who take part."""
    ours = [Contestant("scratchnet", precision) for precision in PRECISIONS]
    theirs = [Contestant("torch", precision, last) for precision in PRECISIONS for last in (False, True)]
    return ours + theirs if torch else ours


def measure_in_process(contestant: Contestant, case: NetworkCase, optimizer: OptimizerName, steps: int) -> Result:
    """Measure in a new process; a RuntimeError holds the last line of what went wrong there."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "evidence.npz")
        job = {"contestant": asdict(contestant), "case": case.plain(), "optimizer": optimizer, "steps": steps}
        command = [sys.executable, "-m", "benchmarks.harness.gpu", json.dumps(job | {"evidence": file})]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
        found = json.loads(done.stdout.splitlines()[-1])
        with np.load(file) as arrays:
            return Result(tuple(found["seconds"]), found["peak"], tuple(found["losses"]), unpacked(arrays))


def measure(contestant: Contestant, case: NetworkCase, optimizer: OptimizerName, steps: int) -> Result:
    """Measure in this process."""
    return (_measure_ours if contestant.library == "scratchnet" else _measure_torch)(contestant, case, optimizer, steps)


def _measure_ours(contestant: Contestant, case: NetworkCase, optimizer: OptimizerName, steps: int) -> Result:
    xp = array_module("gpu")
    pool, evidence = xp.get_default_memory_pool(), {}
    if contestant.precision == "float32":
        evidence["float64"] = of_ours(to_gpu(build_ours(small_case(case), optimizer, np.float64), xp))
    step = to_gpu(build_ours(case, optimizer), xp)
    with matrix_precision(contestant.precision):
        evidence[contestant.precision] = of_ours(step)
        pool.free_all_blocks()
        losses, seconds = _run(step, lambda: float(step.gradients()[1]), xp.cuda.Event, steps, _between_in_cupy)
    return Result(seconds, int(pool.total_bytes()), losses, evidence)


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
    last, evidence = contestant.channels_last, {}
    if contestant.precision == "float32":
        evidence["float64"] = of_torch(torch_on_gpu(TorchStep, small_case(case), optimizer, last, np.float64))
    step = torch_on_gpu(HalfStep if contestant.precision == "bf16" else TorchStep, case, optimizer, last)
    evidence[contestant.precision] = of_torch(step)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    losses, seconds = _run(
        step,
        lambda: float(step.gradients()[1].item()),
        lambda: torch.cuda.Event(enable_timing=True),
        steps,
        lambda begin, end: begin.elapsed_time(end),
    )
    return Result(seconds, torch.cuda.max_memory_reserved(), losses, evidence)


def torch_on_gpu(
    kind: type[TorchStep], case: NetworkCase, optimizer: OptimizerName, channels_last: bool, dtype: Any = np.float32
) -> TorchStep:
    """Set up PyTorch's side."""
    twin = TorchTwin(case.network(), parameter_values(started(case, dtype)), channels_last, "cuda")
    return kind(twin, make_batch(case, dtype), optimizer)


class HalfStep(TorchStep):
    """A step in PyTorch's automatic mixed precision; the backward pass follows the forward's choices by itself."""

    def __init__(self, twin: TorchTwin, batch: Batch, optimizer: OptimizerName, compiled: bool = False) -> None:
        super().__init__(twin, batch, optimizer, compiled)
        whole = self.forward

        def forward(x: Any) -> Any:
            with twin.torch.autocast(twin.device, twin.torch.bfloat16):
                return whole(x).float()

        self.forward = forward


def _run(
    step: Callable[[], None],
    loss: Callable[[], float],
    event: Callable[[], Any],
    steps: int,
    between: Callable[[Any, Any], float],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the losses before and after a first step, and the seconds of each of ``steps``."""
    first = loss()
    step()
    second = loss()
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


def measure_all(
    case: NetworkCase, optimizer: OptimizerName, steps: int, torch: bool, say: Callable[[str], None]
) -> Iterator[dict[str, Result]]:
    """Measure one after the other, print the table meanwhile, and yield what there is after each.

    Who fails is named and left out.
    """
    results: dict[str, Result] = {}
    flops = step_flops(case)
    say(f"{case.name}\n{HEADING}")
    for contestant in contestants(torch):
        try:
            results[contestant.name] = measure_in_process(contestant, case, optimizer, steps)
        except RuntimeError as error:
            say(f"{contestant.name} does not take part: {error}")
            continue
        say(line(contestant.name, results[contestant.name], flops))
        yield results
    for name, what in objections(results).items():
        say(f"{name} computes something else than {REFERENCE} ({what}); its time is compared with none")
    for precision, ratio in ratios(results).items():
        say(f"{precision}: {ratio:.2f} of the time of PyTorch's faster layout")


def main(job: dict[str, Any]) -> None:
    """Measure and print the result as JSON."""
    contestant, case = Contestant(**job["contestant"]), NetworkCase.of(job["case"])
    result = measure(contestant, case, job["optimizer"], job["steps"])
    np.savez(job["evidence"], **packed(result.evidence))
    print(json.dumps({"seconds": result.seconds, "peak": result.peak, "losses": result.losses}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
