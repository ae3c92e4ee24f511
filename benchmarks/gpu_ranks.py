"""Training on several GPUs of a machine: the same parameters as on one, and the cost of all-reduce.

    mpiexec -n 2 python benchmarks/gpu_ranks.py

First a small network is trained for a few updates in float64, on all GPUs together and on the first alone. Then a step
of a large network is timed: on the first GPU alone, and on all GPUs with the same number of images each. The efficiency
is the quotient. With ``--sums mpi``, all-reduce goes through the host.
"""

import argparse
import time
from contextlib import nullcontext
from statistics import median

import numpy as np

from benchmarks.harness.implementations import initialized_network, make_batch
from benchmarks.harness.network_cases import network_case
from scratchnet.data import shard_slice
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.device import computing
from scratchnet.engine.modes import matrix_precision
from scratchnet.losses import PixelLoss
from scratchnet.training import SGD
from scratchnet.training.accumulation import MicroBatch, gradient
from scratchnet.training.distributed.mpi import processes
from scratchnet.training.distributed.nccl import between_gpus
from scratchnet.training.distributed.process_group import SingleProcess
from scratchnet.training.distributed.sharing import share_batches, sum_gradients


class Training:
    """A network on a GPU, with batch, loss and optimiser."""

    def __init__(self, case, ranks, xp, own, dtype=np.float32):
        self.xp, self.ranks, self.loss, self.optimizer = xp, ranks, PixelLoss(case.classes), SGD()
        self.network = initialized_network(case, dtype).train().to(xp)
        share_batches(self.network, ranks)
        self.passes, batch, self.first = CapturedNetwork(self.network), make_batch(case, dtype), own.start
        self.x, self.target = batch.x[own], batch.target[own]

    def step(self):
        """Run one update."""
        gradient(self.passes, self.loss, [MicroBatch(1, self.x, self.target, None, self.first)], 0, 0, self.ranks)
        self.optimizer.step(self.network.flat(), 1e-3)

    def seconds(self, call, repeats):
        """Return the median time of a call, including the GPU's work."""
        times = []
        for _ in range(repeats + 2):
            self.ranks.barrier()
            begin = time.perf_counter()
            call()
            self.xp.cuda.Stream.null.synchronize()
            times.append(time.perf_counter() - begin)
        return median(times[2:])


def compare(ranks, xp):
    """Print the difference between the parameters of all GPUs and those of one GPU after three updates."""
    case = network_case("deconvnet-small", (64, 64), 2 * ranks.size, options={"width": 8})
    together = Training(case, ranks, xp, shard_slice(case.batch, ranks.rank, ranks.size), np.float64)
    alone = Training(case, SingleProcess(), xp, slice(0, case.batch), np.float64)
    start = xp.asnumpy(alone.network.flat().values)
    for training in (together, alone):
        for _ in range(3):
            training.step()
    found, expected = (xp.asnumpy(t.network.flat().values) for t in (together, alone))
    off = np.abs(found - expected).max() / np.abs(expected - start).max()
    print(f"float64, parameters after 3 updates: off by {off:.1e} of the largest change")
    if off > 1e-6:
        raise SystemExit("several GPUs and one GPU train different networks")


def measure(ranks, xp, options):
    """Print the times of a step, on one GPU and on all, and of the all-reduce of the gradient."""
    case = network_case(options.model, (options.size, options.size), options.batch, 21)
    alone = Training(case, SingleProcess(), xp, slice(0, case.batch))
    one = alone.seconds(alone.step, options.repeats) if ranks.rank == 0 else 0.0
    ranks.barrier()
    del alone
    together = Training(case, ranks, xp, slice(0, case.batch))
    everyone = together.seconds(together.step, options.repeats)
    sent = together.seconds(lambda: sum_gradients(together.network, ranks), options.repeats)
    size = together.network.flat().grads.nbytes
    print(f"{case.name} on each of {ranks.size} GPUs, sums by {options.sums}")
    print(f"one GPU alone {1e3 * one:.1f} ms, all together {1e3 * everyone:.1f} ms: efficiency {one / everyone:.2f}")
    print(f"gradient by itself: {1e3 * sent:.2f} ms for {size:,} bytes, {size / sent / 1e9:.1f} GB/s")


def main():
    """Compare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="deconvnet")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32, help="images of each process")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", default="tf32", choices=("float32", "tf32", "bf16"))
    parser.add_argument("--sums", default="nccl", choices=("nccl", "mpi"))
    options = parser.parse_args()
    with (
        processes() as hosts,
        computing("gpu", process=hosts.local_rank) as xp,
        between_gpus(hosts) if options.sums == "nccl" else nullcontext(hosts) as ranks,
    ):
        compare(ranks, xp)
        with matrix_precision(options.precision):
            measure(ranks, xp, options)


if __name__ == "__main__":
    main()
