"""Peak memory of a training step or of a forward pass.

Each contestant gets a process of its own, which

1. imports its library and trains a tiny network, so that threads and code are there: the memory now is the *base*;
2. builds the network (parameters, and for training gradients and what the optimiser remembers) and the batch;
3. computes a few times; the highest memory meanwhile, less the base, is the *peak*.

So the peak is all that this network needs beyond a process that could train a tiny one: parameters, optimiser,
 images, activations, workspaces, and what an allocator holds on to. What stays between two calls is recorded
beside it. Each contestant runs as its users have it: scratchnet as its commands do (freed memory is kept for the next
step), PyTorch as ``import torch`` does.

The figures come from Linux (:mod:`benchmarks.harness.processes`) and include the processes that a contestant starts.
"""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.harness.implementation_names import CHANNELS_LAST, OURS
from benchmarks.harness.implementations import build_ours, build_torch, our_forward, torch_forward
from benchmarks.harness.network_cases import NetworkCase, network_case
from benchmarks.harness.processes import forget_highest, highest_above_now, memory_bytes
from scratchnet.config import OptimizerName
from scratchnet.engine.cpu.threads import thread_count
from scratchnet.engine.memory.system import keep_freed_memory
from scratchnet.utils.errors import UserError

CALLS = 4
"""The first ones make what is made once, the last one runs as in a long training."""


@dataclass(frozen=True)
class Peak:
    """Bytes above the base: the highest, and what stays between two calls."""

    peak: int
    kept: int


def peak_memory(contestant: str, case: NetworkCase, optimizer: OptimizerName | None) -> Peak:
    """Measure one contestant in a new process: a training step, or without an optimiser a forward pass."""
    job = {"contestant": contestant, "case": case.plain(), "optimizer": optimizer}
    environment = {**os.environ, "SCRATCHNET_THREADS": str(thread_count())}
    command = [sys.executable, "-m", "benchmarks.harness.memory", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{case.name}: the process that measures the memory of {contestant} failed: {last}")
    return Peak(**json.loads(done.stdout))


def _build(contestant: str, case: NetworkCase, optimizer: OptimizerName | None) -> Callable[[], object]:
    """Set up one contestant."""
    if optimizer is None:
        return our_forward(case) if contestant == OURS else torch_forward(case, contestant == CHANNELS_LAST)
    if contestant == OURS:
        return build_ours(case, optimizer)
    return build_torch(case, optimizer, contestant == CHANNELS_LAST)


def _measure(contestant: str, case: NetworkCase, optimizer: OptimizerName | None) -> Peak:
    """Do in this process what the module's text says."""
    if contestant == OURS:
        keep_freed_memory()
    else:
        import torch

        torch.set_num_threads(thread_count())
    _build(contestant, network_case("bloodcell", (32, 32), 2, options={"width": 0.05}), optimizer or "sgd")()
    gc.collect()
    base = memory_bytes()
    call = _build(contestant, case, optimizer)
    gc.collect()
    forget_highest()
    for _ in range(CALLS):
        call()
    kept = memory_bytes() - base
    return Peak(kept + highest_above_now(), kept)


def main(job: dict[str, Any]) -> None:
    """Measure and print the result as JSON."""
    found = _measure(job["contestant"], NetworkCase.of(job["case"]), job["optimizer"])
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
