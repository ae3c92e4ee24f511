"""Peak memory of a training step or of a forward pass.

Each implementation has its own process, which

1. imports its library and trains a tiny network, so that threads and code are loaded; its memory is now the *base*;
2. builds the network (parameters, and for training gradients and the optimiser's state) and the batch;
3. runs a few times; the highest memory in this phase, minus the base, is the *peak*.

The peak thus contains everything that this network needs beyond a process that could train a tiny one: parameters,
optimiser state, images, activations, workspaces, and free memory that an allocator keeps. The memory in use between two
calls is recorded, too. Each library runs as its users run it: scratchnet as in its commands (freed memory is kept for
the next step), PyTorch as after ``import torch``.

The figures come from Linux (:mod:`benchmarks.harness.processes`) and include child processes.
"""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.harness.implementation_names import CHANNELS_LAST, SCRATCHNET
from benchmarks.harness.implementations import (
    build_scratchnet_forward,
    build_scratchnet_step,
    build_torch_forward,
    build_torch_step,
)
from benchmarks.harness.network_cases import NetworkCase, network_case
from benchmarks.harness.processes import memory_in_use, peak_above_current, reset_peak_memory
from scratchnet.config import OptimizerName
from scratchnet.engine.cpu.threads import thread_count
from scratchnet.engine.memory.system import keep_freed_memory
from scratchnet.utils.errors import UserError

CALLS = 4
"""Number of calls: the first ones allocate buffers and start processes, the last one runs as in a long training."""


@dataclass(frozen=True)
class MemoryUse:
    """Bytes above the base: at the peak, and between two calls."""

    peak: int
    retained: int


def measure_memory(implementation: str, case: NetworkCase, optimizer: OptimizerName | None) -> MemoryUse:
    """Measure one implementation in a new process: a training step, or a forward pass if ``optimizer`` is None."""
    job = {"implementation": implementation, "case": case.to_dict(), "optimizer": optimizer}
    environment = {**os.environ, "SCRATCHNET_THREADS": str(thread_count())}
    command = [sys.executable, "-m", "benchmarks.harness.memory", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{case.name}: the process that measures the memory of {implementation} failed: {last}")
    return MemoryUse(**json.loads(done.stdout))


def _build(implementation: str, case: NetworkCase, optimizer: OptimizerName | None) -> Callable[[], object]:
    """Return a training step or a forward pass as a function."""
    if implementation == SCRATCHNET:
        return build_scratchnet_step(case, optimizer) if optimizer else build_scratchnet_forward(case)
    channels_last = implementation == CHANNELS_LAST
    return build_torch_step(case, optimizer, channels_last) if optimizer else build_torch_forward(case, channels_last)


def _measure(implementation: str, case: NetworkCase, optimizer: OptimizerName | None) -> MemoryUse:
    """Measure in this process, as the module's docstring describes."""
    if implementation == SCRATCHNET:
        keep_freed_memory()
    else:
        import torch

        torch.set_num_threads(thread_count())
    _build(implementation, network_case("bloodcell", (32, 32), 2, options={"width": 0.05}), optimizer or "sgd")()
    gc.collect()
    base = memory_in_use()
    call = _build(implementation, case, optimizer)
    gc.collect()
    reset_peak_memory()
    for _ in range(CALLS):
        call()
    retained = memory_in_use() - base
    return MemoryUse(retained + peak_above_current(), retained)


def main(job: dict[str, Any]) -> None:
    """Measure and print the result as JSON."""
    found = _measure(job["implementation"], NetworkCase.from_dict(job["case"]), job["optimizer"])
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
