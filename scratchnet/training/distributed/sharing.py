"""Training and evaluation with every batch and every data set divided between the processes of a group.

All ranks hold the same network and make the same update from the same gradient, so only sums travel: one value for the
divisor of the loss, two vectors for each batch norm and pass, and the gradient. Random draws are keyed by image and not
taken from a sequence, so augmentation and dropout treat an image alike on every rank. The parameters are therefore
those of one process with the whole batch, up to rounding: the sums are taken in another order.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from scratchnet.data import SampleSource, shard_slice
from scratchnet.data.subset import SourceSubset
from scratchnet.evaluation import metrics
from scratchnet.inference import Evaluation, evaluate
from scratchnet.inference.combining import Predictor
from scratchnet.layers.builtin import is_builtin
from scratchnet.layers.synchronized import SyncBatchNorm2d
from scratchnet.network import Network
from scratchnet.network.execution import values_that_need_grad
from scratchnet.training.distributed.process_group import ProcessGroup, total
from scratchnet.training.objective import Objective

BUCKET_BYTES = 16 << 20
"""Size of the pieces in which the gradient is summed: large enough that the cost per message does not matter, small
enough to keep the message buffers small."""


def share_batches(network: Network, ranks: ProcessGroup) -> None:
    """Convert batch norm to synchronised batch norm, which computes its statistics over the shares of all ranks.

    Raises
    ------
    ValueError
        If a step is a batch norm with methods of its own, of which no synchronised form is known.
    """
    for name, layer in network.batch_norms().items() if ranks.size > 1 else ():
        if not is_builtin(layer):
            raise ValueError(
                f"step '{name}': {type(layer).__name__} is a batch norm of your own and cannot share its batches; use "
                "BatchNorm2d, or train in one process"
            )
        network.replace_layer(name, SyncBatchNorm2d.convert(layer, ranks.allreduce))


def forward_without_images(network: Network) -> None:
    """Take part in the sums of a forward pass in which this rank has no image."""
    for layer in _synchronized(network).values():
        layer.forward_without_images()


def step_without_images(network: Network, loss: Objective, ranks: ProcessGroup) -> None:
    """Take part in the sums of a training step in which this rank has no image."""
    forward_without_images(network)
    loss.without_images(ranks.allreduce, network.flat().values)
    needs_grad = values_that_need_grad(network.steps)
    for name, layer in reversed(_synchronized(network).items()):
        if needs_grad[name]:  # the other ranks compute sums for these alone
            layer.backward_without_images()


def _synchronized(network: Network) -> dict[str, SyncBatchNorm2d]:
    return {name: layer for name, layer in network.batch_norms().items() if isinstance(layer, SyncBatchNorm2d)}


def sum_gradients(network: Network, ranks: ProcessGroup) -> None:
    """Replace the gradients of a network by their sums over all ranks, bucket by bucket; frozen ones are 0."""
    grads = network.flat().grads
    step = BUCKET_BYTES // grads.dtype.itemsize
    for learned in network.flat().trainable_slices() if ranks.size > 1 else ():
        for begin in range(learned.start, learned.stop, step):
            ranks.allreduce(grads[begin : min(begin + step, learned.stop)])


def evaluate_together(
    predictor: Predictor,
    source: SampleSource,
    ranks: ProcessGroup,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Evaluation:
    """Return what :func:`~scratchnet.inference.evaluate` does; every rank evaluates its share of the images."""
    if ranks.size == 1:
        return evaluate(predictor, source, progress)
    share = shard_slice(len(source), ranks.rank, ranks.size)
    own = evaluate(predictor, SourceSubset(source, range(len(source))[share]), progress)
    scores = np.zeros(len(source))
    scores[share] = own.scores
    confusion = own.confusion
    loss = total(own.loss * float(confusion.sum()), ranks, scores)
    ranks.allreduce(confusion)
    ranks.allreduce(scores)
    return Evaluation(
        confusion, metrics(confusion), loss / max(1, int(confusion.sum())), tuple(float(score) for score in scores)
    )
