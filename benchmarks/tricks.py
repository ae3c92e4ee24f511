"""Gain of each optimisation of ``docs/speed.md``: a training step with all of them, and with one disabled at a time.

    python benchmarks/tricks.py [--repeats 7]

Prints a table of medians (interleaved repeats). The last column is the time relative to that of the full step.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import median

import numpy as np

from scratchnet.engine.capture import capture
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.memory import pool
from scratchnet.engine.modes import precise, textbook
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.network import Network, fusion, network
from scratchnet.training.optimizers import SGD

MODELS = {
    "deconvnet-small, 128×128, batch 8": lambda: build("deconvnet-small", 2, size=128),
    "bloodcell with batch norm, 128×128, batch 8": lambda: build("bloodcell", 2, batch_norm=True),
}


@contextmanager
def changed(owner: object, name: str, value: object) -> Iterator[None]:
    """Set an attribute within this block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


VARIANTS: dict[str, tuple[Callable[[], AbstractContextManager[None]], bool]] = {
    "everything": (nullcontext, True),
    "without Winograd": (precise, True),
    "without fusion": (lambda: changed(network, "plan_in_use", lambda *_, **__: fusion.UNFUSED), True),
    "without processes: replay on threads": (lambda: changed(capture, "can_fork", lambda: False), True),
    "without replay: layer by layer on threads": (nullcontext, False),
    "… and without the memory pool": (lambda: changed(pool, "MIN_POOLED_BYTES", 1 << 60), False),
    "textbook()": (textbook, False),
}


def stepper(make: Callable[[], Network], replayed: bool) -> Callable[[], None]:
    """Return a function that runs one training step."""
    net, loss, optimizer = make().allocate(0).train(), PixelLoss(2), SGD(0.9)
    passes = CapturedNetwork(net) if replayed else net
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 128, 128, 3), dtype=np.float32)
    target = rng.integers(0, 2, (8, 128, 128)).astype(np.uint8)

    def step() -> None:
        _, dlogits = loss(passes.forward(x), target)
        passes.backward(dlogits, add=False)
        optimizer.step(net.flat(), 0.01)

    return step


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    for name, make in MODELS.items():
        steps: dict[str, Callable[[], None]] = {}
        times: dict[str, list[float]] = {key: [] for key in VARIANTS}
        for key, (setting, replayed) in VARIANTS.items():
            steps[key] = stepper(make, replayed)
            with setting():
                for _ in range(3):  # the first runs directly, the second is captured, the third starts the processes
                    steps[key]()
        for _ in range(repeats):
            for key, (setting, _) in VARIANTS.items():
                with setting():
                    time.sleep(0.05)
                    begin = time.perf_counter()
                    steps[key]()
                    times[key].append(time.perf_counter() - begin)
        whole = median(times["everything"])
        print(f"\n{name}")
        for key, found in times.items():
            print(f"  {key:<44}{1000 * median(found):8.0f} ms  ×{median(found) / whole:.2f}")


if __name__ == "__main__":
    main()
