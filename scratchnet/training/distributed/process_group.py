"""Training in several processes: each takes its share of every batch, and sums over all of them make the batch whole.

    mpiexec -n 4 scratchnet train …

A process is a *rank*. All ranks hold the same network and make the same update from the same gradient, so nothing but
sums travels: one number for the loss's divisor, two vectors a batch norm and pass, and the gradient. What is drawn at
random has a name and not a place in a sequence, so an image is changed, and dropped out of, alike whoever has it. The
parameters are therefore those of one process with the whole batch, up to the rounding of sums in another order.

What a rank must offer is in :class:`ProcessGroup`:
:mod:`scratchnet.training.distributed.mpi` has it for processes that ``mpiexec``
starts, and :mod:`scratchnet.training.distributed.nccl` lets their GPUs sum without the host.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np

from scratchnet.arrays import AllReduce, Array, get_array_module, to_scalar
from scratchnet.data import SampleSource, share_of
from scratchnet.evaluation import metrics
from scratchnet.inference import Evaluation, evaluate
from scratchnet.inference.combining import Predictor
from scratchnet.network import Network
from scratchnet.network.execution import values_that_need_grad
from scratchnet.training.objective import Objective

BUCKET_BYTES = 16 << 20
"""The gradient is summed in pieces of this size: large enough that their number does not count, small enough that the
buffers of the message passing stay small."""


class ProcessGroup(Protocol):
    """The processes that train together, seen from one of them.

    Attributes
    ----------
    rank, size : int
        Which one this is, counted from 0, and how many there are.
    local_rank : int
        Which one this is among those of its machine; decides which GPU it has.
    """

    rank: int
    size: int
    local_rank: int

    def allreduce(self, array: Array) -> None:
        """Replace a contiguous array by its sum over all ranks.

        All must call this in the same order, with arrays of the same shape and dtype, and either all with arrays of a
        GPU or all with the host's.
        """

    def barrier(self) -> None:
        """Return when all ranks have come here."""


class SingleProcess:
    """The one process of a training that is not shared."""

    rank, size, local_rank = 0, 1, 0

    def allreduce(self, array: Array) -> None:
        """Leave the array as it is."""

    def barrier(self) -> None:
        """Return."""


def over_ranks(ranks: ProcessGroup) -> AllReduce | None:
    """Return the sum over ranks, or None where there is only one: what is not shared costs nothing."""
    return ranks.allreduce if ranks.size > 1 else None


def share_batches(network: Network, ranks: ProcessGroup) -> None:
    """Make batch norm take its statistics over the shares of all ranks from now on."""
    for layer in network.batch_norms().values():
        layer.over_ranks = over_ranks(ranks)


def forward_without_images(network: Network) -> None:
    """Take part in the sums of a forward pass of which this rank has no image."""
    for layer in network.batch_norms().values():
        layer.forward_without_images()


def step_without_images(network: Network, loss: Objective, ranks: ProcessGroup) -> None:
    """Take part in the sums of a training step of which this rank has no image."""
    forward_without_images(network)
    loss.without_images(ranks.allreduce, network.flat().values)
    needs_grad = values_that_need_grad(network.steps)
    for name, layer in reversed(network.batch_norms().items()):
        if needs_grad[name]:  # only those make sums in the other processes
            layer.backward_without_images()


def sum_gradients(network: Network, ranks: ProcessGroup) -> None:
    """Replace a network's gradients by their sums over all ranks, a bucket at a time; those of frozen ones are 0."""
    grads = network.flat().grads
    step = BUCKET_BYTES // grads.dtype.itemsize
    for learned in network.flat().trainable_slices() if ranks.size > 1 else ():
        for begin in range(learned.start, learned.stop, step):
            ranks.allreduce(grads[begin : min(begin + step, learned.stop)])


def total(value: float, ranks: ProcessGroup, like: Array) -> float:
    """Return the sum of a number over all ranks; where ``like`` is on a GPU, it stays there."""
    whole = get_array_module(like).zeros(1, np.float64)
    whole += value
    ranks.allreduce(whole)
    return to_scalar(whole[0])


class SharedSource:
    """One rank's share of a set of images."""

    def __init__(self, source: SampleSource, ranks: ProcessGroup) -> None:
        self.source, self.classes, self.ignore_index = source, source.classes, source.ignore_index
        self._numbers = range(len(source))[share_of(len(source), ranks.rank, ranks.size)]
        self.names = tuple(source.names[number] for number in self._numbers)

    def __len__(self) -> int:
        """Return the number of samples in the share."""
        return len(self._numbers)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of a sample."""
        return self.source.size(self._numbers[index])

    def load(self, index: int) -> tuple[Array, Array]:
        """Return image (h, w, 3) uint8 and mask (h, w) uint8 of a sample."""
        return self.source.load(self._numbers[index])


def evaluate_together(
    predictor: Predictor,
    source: SampleSource,
    ranks: ProcessGroup,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Evaluation:
    """Return what :func:`evaluate` does, of a set of which every rank takes its share."""
    if ranks.size == 1:
        return evaluate(predictor, source, progress)
    own = evaluate(predictor, SharedSource(source, ranks), progress)
    scores = np.zeros(len(source))
    scores[share_of(len(source), ranks.rank, ranks.size)] = own.scores
    confusion = own.confusion
    loss = total(own.loss * float(confusion.sum()), ranks, scores)
    ranks.allreduce(confusion)
    ranks.allreduce(scores)
    return Evaluation(
        confusion, metrics(confusion), loss / max(1, int(confusion.sum())), tuple(float(score) for score in scores)
    )
