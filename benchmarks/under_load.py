"""A training step beside other programs: worker processes, threads, one core, and the choice between them.

    python benchmarks/under_load.py [--model bloodcell] [--size 64] [--batch 4] [--programs 0 2 6 12] [--seconds 8]

Prints the median time of a step for each number of other programs, which multiply matrices without a pause.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from statistics import median
from unittest import mock

import numpy as np

from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.capture.replay_choice import ReplayChoice
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.training.optimizers import SGD

WAYS = ("processes", "threads", "one core", "chosen")
OTHER_PROGRAM = "import numpy as np\na = np.ones((300, 300), np.float32)\nwhile True: a @ a"


def always(way: int) -> AbstractContextManager[object]:
    """Return a context in which every replay uses one way; the last one of :data:`WAYS` is the choice itself."""
    usual = ReplayChoice.run
    runs = [lambda self, ways, k=k: ways[k]() for k in range(len(WAYS) - 1)]
    return mock.patch.object(ReplayChoice, "run", [*runs, usual][way])


def stepper(name: str, size: int, batch: int) -> Callable[[], None]:
    """Return a function that runs one training step of a network of its own."""
    net, loss, optimizer = build(name, 2).allocate(0).train(), PixelLoss(2), SGD(0.9)
    passes = CapturedNetwork(net)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, size, size, 3), dtype=np.float32)
    target = rng.integers(0, 2, (batch, size, size)).astype(np.uint8)

    def step() -> None:
        _, dlogits = loss(passes.forward(x), target)
        passes.backward(dlogits, add=False)
        optimizer.step(net.flat(), 0.01)

    return step


def measure(steps: list[Callable[[], None]], seconds: float) -> list[float]:
    """Return the median time of a step in each way; the ways take turns."""
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(4):
        for way, step in enumerate(steps):
            with always(way):
                end = time.perf_counter() + seconds / 4
                while time.perf_counter() < end:
                    begin = time.perf_counter()
                    step()
                    times[way].append(time.perf_counter() - begin)
    return [median(own) for own in times]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="bloodcell")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--programs", type=int, nargs="+", default=[0, 2, 6, 12])
    parser.add_argument("--seconds", type=float, default=8.0, help="time for each way and number of programs")
    options = parser.parse_args()
    steps = [stepper(options.model, options.size, options.batch) for _ in WAYS]
    for way, step in enumerate(steps):
        with always(way):
            for _ in range(4):  # the first runs directly, the second is captured, the third starts the processes
                step()
    print(f"{'other programs':>14}" + "".join(f"{way:>14}" for way in WAYS))
    for count in options.programs:
        command = [sys.executable, "-c", OTHER_PROGRAM]
        others = [subprocess.Popen(command, env={"OPENBLAS_NUM_THREADS": "1"}) for _ in range(count)]
        try:
            time.sleep(0.5)
            figures = measure(steps, options.seconds)
        finally:
            for other in others:
                other.kill()
                other.wait()
        print(f"{count:>14}" + "".join(f"{1e3 * figure:>11.1f} ms" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
