"""A training step on a GPU, compared with PyTorch on the same card.

Both libraries are measured with products in float32, TF32 and bfloat16, and PyTorch in both of its layouts, with cuDNN
selecting its fastest algorithms. PyTorch's bfloat16 is its automatic mixed precision, which stores many activations in
half the space; scratchnet rounds the factors of a product to bfloat16 and stores float32.

An implementation that computes something else is reported, and its time enters no ratio
(:mod:`benchmarks.harness.step_results`).

Each configuration has a process and the GPU to itself. After a few warm-up steps, CUDA events time each step. The
memory is the peak that the library's allocator reserved on the GPU.
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
    Configuration,
    GpuMeasurement,
    find_mismatches,
    line,
    ratios,
)
from benchmarks.harness.implementations import (
    Batch,
    ScratchnetStep,
    TorchStep,
    build_scratchnet_step,
    initialized_network,
    make_batch,
)
from benchmarks.harness.network_cases import NetworkCase
from benchmarks.harness.step import step_flops
from benchmarks.harness.step_results import pack_results, scratchnet_result, torch_result, unpack_results
from benchmarks.harness.torch_network import TorchNetwork, parameter_values
from scratchnet.config import OptimizerName
from scratchnet.engine.device import array_module
from scratchnet.engine.modes import matrix_precision

WARM_UP = 3


def configurations(torch: bool) -> list[Configuration]:
    """Return the configurations to measure, with PyTorch's if it is installed."""
    ours = [Configuration("scratchnet", precision) for precision in PRECISIONS]
    theirs = [Configuration("torch", precision, last) for precision in PRECISIONS for last in (False, True)]
    return ours + theirs if torch else ours


def measure_in_process(
    configuration: Configuration, case: NetworkCase, optimizer: OptimizerName, steps: int
) -> GpuMeasurement:
    """Measure in a new process; raise a RuntimeError with the last line of its error output if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "results.npz")
        job = {"configuration": asdict(configuration), "case": case.to_dict(), "optimizer": optimizer, "steps": steps}
        command = [sys.executable, "-m", "benchmarks.harness.gpu", json.dumps(job | {"results": file})]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
        found = json.loads(done.stdout.splitlines()[-1])
        with np.load(file) as arrays:
            return GpuMeasurement(
                tuple(found["seconds"]), found["peak"], tuple(found["losses"]), unpack_results(arrays)
            )


def measure(configuration: Configuration, case: NetworkCase, optimizer: OptimizerName, steps: int) -> GpuMeasurement:
    """Measure in this process."""
    measure_library = _measure_scratchnet if configuration.library == "scratchnet" else _measure_torch
    return measure_library(configuration, case, optimizer, steps)


def _measure_scratchnet(
    configuration: Configuration, case: NetworkCase, optimizer: OptimizerName, steps: int
) -> GpuMeasurement:
    xp = array_module("gpu")
    pool, outputs = xp.get_default_memory_pool(), {}
    if configuration.precision == "float32":
        small = build_scratchnet_step(small_case(case), optimizer, np.float64)
        outputs["float64"] = scratchnet_result(to_gpu(small, xp))
    step = to_gpu(build_scratchnet_step(case, optimizer), xp)
    with matrix_precision(configuration.precision):
        outputs[configuration.precision] = scratchnet_result(step)
        pool.free_all_blocks()
        losses, seconds = _time_steps(step, lambda: float(step.gradients()[1]), xp.cuda.Event, steps, _cupy_elapsed)
    return GpuMeasurement(seconds, int(pool.total_bytes()), losses, outputs)


def to_gpu(step: ScratchnetStep, xp: Any) -> ScratchnetStep:
    """Move a step's network and batch to the GPU."""
    step.network.to(xp)
    step.batch = Batch(xp.asarray(step.batch.x), xp.asarray(step.batch.target))
    return step


def _measure_torch(
    configuration: Configuration, case: NetworkCase, optimizer: OptimizerName, steps: int
) -> GpuMeasurement:
    import torch

    torch.backends.cudnn.benchmark = True
    for backend in (torch.backends.cudnn, torch.backends.cuda.matmul):
        backend.allow_tf32 = configuration.precision != "float32"
    last, outputs = configuration.channels_last, {}
    if configuration.precision == "float32":
        outputs["float64"] = torch_result(torch_on_gpu(TorchStep, small_case(case), optimizer, last, np.float64))
    step = torch_on_gpu(AutocastStep if configuration.precision == "bf16" else TorchStep, case, optimizer, last)
    outputs[configuration.precision] = torch_result(step)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    losses, seconds = _time_steps(
        step,
        lambda: float(step.gradients()[1].item()),
        lambda: torch.cuda.Event(enable_timing=True),
        steps,
        lambda begin, end: begin.elapsed_time(end),
    )
    return GpuMeasurement(seconds, torch.cuda.max_memory_reserved(), losses, outputs)


def torch_on_gpu(
    kind: type[TorchStep], case: NetworkCase, optimizer: OptimizerName, channels_last: bool, dtype: Any = np.float32
) -> TorchStep:
    """Return PyTorch's training step on the GPU."""
    net = TorchNetwork(case.network(), parameter_values(initialized_network(case, dtype)), channels_last, "cuda")
    return kind(net, make_batch(case, dtype), optimizer)


class AutocastStep(TorchStep):
    """A step in PyTorch's automatic mixed precision; autograd uses the forward pass's types in the backward pass."""

    def __init__(self, net: TorchNetwork, batch: Batch, optimizer: OptimizerName, compiled: bool = False) -> None:
        super().__init__(net, batch, optimizer, compiled)
        full_precision = self.forward

        def forward(x: Any) -> Any:
            with net.torch.autocast(net.device, net.torch.bfloat16):
                return full_precision(x).float()

        self.forward = forward


def _time_steps(
    step: Callable[[], None],
    loss: Callable[[], float],
    event: Callable[[], Any],
    steps: int,
    elapsed: Callable[[Any, Any], float],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the losses before and after a first step, and the seconds of each of the ``steps`` timed steps."""
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
    seconds = (elapsed(begin, end) / 1e3 for begin, end in pairwise(marks))
    return (first, second), tuple(seconds)


def _cupy_elapsed(begin: Any, end: Any) -> float:
    import cupy

    return float(cupy.cuda.get_elapsed_time(begin, end))


def measure_all(
    case: NetworkCase, optimizer: OptimizerName, steps: int, torch: bool, say: Callable[[str], None]
) -> Iterator[dict[str, GpuMeasurement]]:
    """Measure one configuration after the other, print the table, and yield all results so far after each.

    A configuration that fails is reported and left out.
    """
    results: dict[str, GpuMeasurement] = {}
    flops = step_flops(case)
    say(f"{case.name}\n{HEADING}")
    for configuration in configurations(torch):
        try:
            results[configuration.name] = measure_in_process(configuration, case, optimizer, steps)
        except RuntimeError as error:
            say(f"{configuration.name} does not take part: {error}")
            continue
        say(line(configuration.name, results[configuration.name], flops))
        yield results
    for name, reason in find_mismatches(results).items():
        say(f"{name} computes something else than {REFERENCE} ({reason}); its time enters no ratio")
    for precision, ratio in ratios(results).items():
        say(f"{precision}: {ratio:.2f} of the time of PyTorch's faster layout")


def main(job: dict[str, Any]) -> None:
    """Measure and print the result as JSON."""
    configuration, case = Configuration(**job["configuration"]), NetworkCase.from_dict(job["case"])
    result = measure(configuration, case, job["optimizer"], job["steps"])
    np.savez(job["results"], **pack_results(result.outputs))
    print(json.dumps({"seconds": result.seconds, "peak": result.peak, "losses": result.losses}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
