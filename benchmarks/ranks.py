"""Cost of training in several processes: messages of a step, measured efficiency, and an estimate for other networks.

    python benchmarks/ranks.py                      # messages, and the estimate
    mpiexec -n 2 python benchmarks/ranks.py         # and the efficiency of two processes, measured

The default network is that of ``scratchnet demo``; every process has one thread. Two steps are timed in alternation: of
the first process alone with the whole batch, while the others sleep, and of all processes with a share each.

The estimate for N processes is the time of a share, measured on one process, plus the time of its messages,

    Σ over messages: 2·⌈log₂ N⌉·latency + 2·(N − 1)/N · bytes/bandwidth

(an all-reduce by recursive halving and doubling: Thakur, Rabenseifner and Gropp 2005, section 4.5). It neglects the
waiting for the slowest process, and that cores share one memory.
"""

import argparse
import os
import time
from math import ceil, log2
from statistics import median

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["SCRATCHNET_THREADS"] = "1"

import numpy as np

from scratchnet.data import shard_slice
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.training import Adam
from scratchnet.training.accumulation import MicroBatch, gradient
from scratchnet.training.distributed.mpi import processes
from scratchnet.training.distributed.process_group import SingleProcess
from scratchnet.training.distributed.sharing import share_batches


class Counting:
    """A process group that counts its all-reduce operations; with a single process it sums nothing but still counts."""

    def __init__(self, ranks, size):
        self.rank, self.size, self.local_rank, self._ranks = ranks.rank, size, ranks.local_rank, ranks
        self.messages, self.seconds, self.worked = [], 0.0, 0.0

    def allreduce(self, array):
        """Sum an array over all processes, and record its bytes and the time, including waiting."""
        begin, worked = time.perf_counter(), time.process_time()
        self._ranks.allreduce(array)
        self.seconds += time.perf_counter() - begin
        self.worked += time.process_time() - worked
        self.messages.append(array.nbytes)

    def barrier(self):
        """Wait for all processes."""
        self._ranks.barrier()


class Training:
    """A network with batch, loss and optimiser."""

    def __init__(self, options, ranks, images):
        settings = {"width": options.width} | ({"size": options.size} if "deconvnet" in options.model else {})
        self.network = build(options.model, 2, **settings).allocate(0).train()
        self.ranks, self.passes, self.optimizer, self.number = ranks, CapturedNetwork(self.network), Adam(), 0
        self.loss = PixelLoss(2, "cross-entropy+dice")
        share_batches(self.network, ranks)
        rng = np.random.default_rng(0)
        shape = (options.batch, options.size, options.size)
        own = shard_slice(options.batch, ranks.rank, ranks.size) if images is None else slice(0, images)
        self.x = rng.standard_normal((*shape, 3)).astype(np.float32)[own]
        self.target = rng.integers(0, 2, shape).astype(np.uint8)[own]

    def step(self):
        """Run one update."""
        self.number += 1
        parts = [MicroBatch(self.number, self.x, self.target, None)]
        gradient(self.passes, self.loss, parts, 0, 0, self.ranks)
        self.optimizer.step(self.network.flat(), 1e-4)

    def seconds(self, count):
        """Return the time and the processor time of a step, the mean of ``count``."""
        begin, worked = time.perf_counter(), time.process_time()
        for _ in range(count):
            self.step()
        return (time.perf_counter() - begin) / count, (time.process_time() - worked) / count


def messages_of(options):
    """Return the bytes of every message of a step."""
    ranks = Counting(SingleProcess(), 2)
    training = Training(options, ranks, 1)
    training.step()
    return ranks.messages, training.network


def message_seconds(messages, count, options):
    """Return the estimated time of a step's messages between ``count`` processes."""
    latency, bandwidth = options.latency * 1e-6, options.bandwidth * 1e9
    return sum(2 * ceil(log2(count)) * latency + 2 * (count - 1) / count * size / bandwidth for size in messages)


def asleep(communicator):
    """Wait for all processes without using the processor."""
    everyone = communicator.Ibarrier()
    while not everyone.Test():
        time.sleep(0.002)


def message_seconds_here(ranks, messages, repeats=30):
    """Return the time of a step's messages alone: the sum of the minimum times for their sizes."""
    least = {}
    for size in sorted(set(messages)):
        array, times = np.zeros(size // 4, np.float32), []
        for _ in range(repeats):
            ranks.barrier()
            begin = time.perf_counter()
            ranks.allreduce(array)
            times.append(time.perf_counter() - begin)
        least[size] = min(times)
    return sum(least[size] for size in messages)


def measure(ranks, options):
    """Print the measured efficiency of the processes."""
    counting = Counting(ranks, ranks.size)
    shared, alone = Training(options, counting, None), Training(options, SingleProcess(), options.batch)
    if ranks.rank == 0:
        alone.seconds(3)
    asleep(ranks.communicator)
    shared.seconds(2)
    counting.messages.clear()
    shared.step()
    messages = list(counting.messages)
    rounds = []
    for _ in range(options.rounds):
        asleep(ranks.communicator)
        one = alone.seconds(options.steps) if ranks.rank == 0 else (0.0, 0.0)
        asleep(ranks.communicator)
        counting.seconds = counting.worked = 0.0
        everyone, worked = shared.seconds(options.steps)
        sums = counting.seconds / options.steps
        rounds.append((*one, everyone, sums, worked - counting.worked / options.steps))
    sent = message_seconds_here(ranks, messages)
    if ranks.rank:
        return
    one, one_worked, everyone, sums, worked = (np.array(column) for column in zip(*rounds, strict=True))
    low, middle, high = np.quantile(one / everyone / ranks.size, [0.25, 0.5, 0.75])
    share = shared.x.shape[0]
    print(f"{ranks.size} processes of one thread, {options.rounds} rounds of {options.steps} steps, in turns")
    print("milliseconds a step          by the clock   of the processor")
    lines = ("alone", options.batch, one, one_worked), ("together", share, everyone, worked)
    for who, images, clock, processor in lines:
        print(f"{who:8s} {images:4d} images each {1e3 * median(clock):13.1f} {1e3 * median(processor):18.1f}")
    print(f"of these in {len(messages):3d} messages {1e3 * median(sums):15.1f}   by themselves {1e3 * sent:.1f}")
    print(f"efficiency by the clock {middle:.2f} (quartiles {low:.2f} to {high:.2f})")
    ideal = median(one_worked) / (median(worked) + sent) / ranks.size
    print(f"efficiency by the processor's time and the messages by themselves, nobody waiting: {ideal:.2f}")


def estimate(options):
    """Print the messages of a step, and the efficiency that follows from them."""
    messages, network = messages_of(options)
    gradients = 4 * network.parameter_count()
    print(f"{options.model}: {network.parameter_count():,} parameters, {len(network.batch_norms())} batch norms")
    print(
        f"a step sends {len(messages)} messages of {sum(messages):,} bytes in all, {gradients:,} of them the gradient"
    )
    print(f"\nestimate: {options.latency:g} µs and {options.bandwidth:g} GB/s between any two processes of one thread")
    print("processes   images each   share alone    messages   efficiency   with whole batches each")
    times = {}
    for count in (1, *options.counts):
        images = ceil(options.batch / count)
        if images not in times:
            training = Training(options, SingleProcess() if count == 1 else Counting(SingleProcess(), 2), images)
            training.seconds(3)
            times[images] = min(training.seconds(options.steps)[1] for _ in range(options.rounds))
        sent = message_seconds(messages, count, options) if count > 1 else 0.0
        whole, share = times[options.batch], times[images]
        print(
            f"{count:9d} {images:13d} {1e3 * share:10.2f} ms {1e3 * sent:8.2f} ms "
            f"{whole / count / (share + sent):12.2f} {whole / (whole + sent):25.2f}"
        )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="deconvnet-small")
    parser.add_argument("--width", type=float, default=16)
    parser.add_argument("--size", type=int, default=64, help="of an image, pixels")
    parser.add_argument("--batch", type=int, default=16, help="images of all processes together")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=4, help="in a round")
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 4, 8, 16], help="of processes, for the estimate")
    parser.add_argument("--latency", type=float, default=30, help="of one message, µs")
    parser.add_argument("--bandwidth", type=float, default=1.1, help="GB/s; 10 Gbit Ethernet has about 1.1")
    options = parser.parse_args()
    if options.width == int(options.width):
        options.width = int(options.width)
    with processes() as ranks:
        if ranks.size > 1:
            measure(ranks, options)
        else:
            estimate(options)


if __name__ == "__main__":
    main()
