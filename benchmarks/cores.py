"""Time of a training step if two cores do not share a cache, with contiguous and interleaved shares of the rows.

    python benchmarks/cores.py [--seconds 180]

The cores of a virtual machine may share a cache or not, and its host may move them at any time. This script repeatedly
reads on one core what the other has just written, then times two training steps of deconvnet-small: with contiguous
shares, as usual, and with interleaved shares. It prints how fast the cores read from each other, and the medians of the
steps, separately for the moments in which that was fast and slow. Linux only.
"""

import argparse
import mmap
import multiprocessing
import os
import time
from collections import defaultdict
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.cpu import threads
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.training.optimizers import SGD

COUNT = 1 << 19
"""Number of float32 values that are transferred: 2 MB, more than a core's private cache."""

SLOW = 0.6
"""A transfer is slow if its rate is below this fraction of the best one."""


class Exchange:
    """Two cores, one of which reads what the other has written."""

    def __init__(self):
        self.cores = sorted(os.sched_getaffinity(0))[:2]
        self.numbers = np.frombuffer(mmap.mmap(-1, 4 * COUNT), np.float32)
        fork = multiprocessing.get_context("fork")
        self.go, self.done = fork.Semaphore(0), fork.Semaphore(0)
        fork.Process(target=self._write, daemon=True).start()

    def _write(self):
        os.sched_setaffinity(0, self.cores[1:])
        while True:
            self.go.acquire()
            self.numbers += 1
            self.done.release()

    def rate(self):
        """Return the rate in GB/s at which the first core reads what the second has written."""
        everywhere = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.cores[:1])
        rates = []
        for _ in range(7):
            self.go.release()
            self.done.acquire()
            begin = time.perf_counter()
            np.dot(self.numbers, self.numbers)
            rates.append(4e-9 * COUNT / (time.perf_counter() - begin))
        os.sched_setaffinity(0, everywhere)
        return median(rates)


def every_other(items, count):
    """Split items into interleaved shares."""
    return [items[k::count] for k in range(count)]


def stepper():
    """Return a function that runs one training step, as in ``tricks.py``."""
    net, loss, optimizer = build("deconvnet-small", 2, size=128).allocate(0).train(), PixelLoss(2), SGD(0.9)
    passes = CapturedNetwork(net)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 128, 128, 3), dtype=np.float32)
    target = rng.integers(0, 2, (8, 128, 128)).astype(np.uint8)

    def step():
        _, dlogits = loss(passes.forward(x), target)
        passes.backward(dlogits, add=False)
        optimizer.step(net.flat(), 0.01)

    return step


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=180)
    seconds = parser.parse_args().seconds
    steps, cut = {}, threads.split_evenly
    for name, shares in (("neighbours", cut), ("every other", every_other)):
        steps[name] = stepper()
        threads.split_evenly = shares
        for _ in range(3):  # the first runs, the second records, the third starts the processes
            steps[name]()
    threads.split_evenly = cut
    found: list[tuple[float, float, dict[str, float]]] = []
    end = time.time() + seconds
    with threadpool_limits(1, "blas"):
        exchange = Exchange()
        while time.time() < end:
            before, times = exchange.rate(), {}
            for name, step in sorted(steps.items(), reverse=len(found) % 2 == 0):
                step()
                begin = time.perf_counter()
                step()
                times[name] = time.perf_counter() - begin
            found.append((before, exchange.rate(), times))
    best = max(max(before, after) for before, after, _ in found)
    groups: dict[bool, list[tuple[float, dict[str, float]]]] = defaultdict(list)
    for before, after, times in found:
        if (before < SLOW * best) == (after < SLOW * best):  # the cores stayed where they were
            groups[before < SLOW * best].append((before, times))
    print("the cores read from each other   rounds" + "".join(f"{f'shares of {name}':>26}" for name in steps))
    for rounds in groups.values():
        medians = [1000 * median(times[name] for _, times in rounds) for name in steps]
        rate = median(rate for rate, _ in rounds)
        print(f"{rate:24.0f} GB/s {len(rounds):12d}" + "".join(f"{m:23.0f} ms" for m in medians))


if __name__ == "__main__":
    main()
