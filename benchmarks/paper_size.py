"""Time and peak memory of a training step of DeconvNet at the paper's size (224×224), compared with PyTorch.

    python benchmarks/paper_size.py [--repeats 5]

The network has 252 million weights and is trained with SGD with momentum on one image. Batch norm is frozen in both
libraries, since fc6 and fc7 have one value per channel and image, which has no variance (``scratchnet bench step``
needs a larger batch for that reason). Each implementation runs in its own process, one after the other.
"""

import argparse
import json
import subprocess
import sys
from statistics import median
from time import perf_counter

from benchmarks.harness.implementations import (
    ScratchnetStep,
    TorchStep,
    build_torch_step,
    initialized_network,
    make_batch,
)
from benchmarks.harness.network_cases import network_case
from benchmarks.harness.processes import memory_in_use, peak_above_current, reset_peak_memory
from scratchnet.engine.memory.system import keep_freed_memory
from scratchnet.layers import BatchNorm2d

CASE = network_case("deconvnet", (224, 224), 1, 21)
IMPLEMENTATIONS = ("scratchnet", "torch", "torch channels_last")
WARM_UP = 3


def measure(name: str, repeats: int) -> dict[str, float]:
    """Run steps in this process; return the median time of a step and the peak memory, with weights and batch."""
    if name == "scratchnet":
        keep_freed_memory()
        network = initialized_network(CASE)
        for step in network.steps:
            if isinstance(step.layer, BatchNorm2d):
                step.layer.freeze_statistics()
        call: ScratchnetStep | TorchStep = ScratchnetStep(network, make_batch(CASE), CASE.classes, "sgd")
    else:
        call = build_torch_step(CASE, "sgd", name != "torch")
        call.network.training = False  # running statistics; DeconvNet has no dropout
    reset_peak_memory()
    seconds = []
    for i in range(WARM_UP + repeats):
        start = perf_counter()
        call()
        if i >= WARM_UP:
            seconds.append(perf_counter() - start)
    return {"seconds": median(seconds), "peak": memory_in_use() + peak_above_current()}


def main() -> None:
    """Measure all implementations and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--implementation", choices=IMPLEMENTATIONS, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.implementation:
        print(json.dumps(measure(a.implementation, a.repeats)))
        return
    for name in IMPLEMENTATIONS:
        command = [sys.executable, __file__, "--implementation", name, "--repeats", str(a.repeats)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{name:20} {found['seconds']:6.2f} s a step   {found['peak'] / 1e9:5.2f} GB at most", flush=True)


if __name__ == "__main__":
    main()
