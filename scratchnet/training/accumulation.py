"""The gradient of one update: of a batch, or of several batches that count as one large batch."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from scratchnet.arrays import Array, on_gpu, to_device_of
from scratchnet.data import BorderWeights, prefetch
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.training.distributed.process_group import ProcessGroup, SingleProcess, allreduce_of, total
from scratchnet.training.distributed.sharing import step_without_images, sum_gradients
from scratchnet.training.objective import Objective

Batch: TypeAlias = tuple[Array, Array, Array | None]
"""Images (n, h, w, 3), masks (n, h, w), and the weights of their pixels (n, h, w) if they have any."""


class MicroBatch(NamedTuple):
    """Images that pass through the network together.

    Attributes
    ----------
    number : int
        Number of the batch in its epoch; decides what dropout draws.
    x : (n, h, w, c)
    target : (n, h, w)
    weights : (n, h, w) or None
    first : int
        Index in the batch of the rank's first image.
    """

    number: int
    x: Array
    target: Array
    weights: Array | None
    first: int = 0


def with_pixel_weights(batches: Iterable[tuple[Array, Array]], border_weights: BorderWeights | None) -> Iterator[Batch]:
    """Yield each batch with the weights of its pixels, which are computed in the background."""
    if border_weights is None:
        return ((images, masks, None) for images, masks in batches)
    return prefetch(batches, lambda batch: (*batch, border_weights(batch[1])))


def micro_batches(
    number: int, x: Array, target: Array, weights: Array | None, single: int = 0, first: int = 0
) -> list[MicroBatch]:
    """Return a prepared batch as one part or, with its number of images as ``single``, image by image.

    A rank has the images from ``first`` on; image by image, its parts for the images of other ranks are empty. If
    preparing has made the masks larger than the weights, the added pixels get the weights of the border.
    """
    if weights is not None and weights.shape != target.shape:
        grown = zip(target.shape, weights.shape, strict=True)
        weights = np.pad(weights, [(0, new - old) for new, old in grown], mode="edge")
    indices = range(-first, single - first)
    parts = [slice(i, i + 1) if 0 <= i < len(x) else slice(0, 0) for i in indices] if single else [slice(0, len(x))]
    return [MicroBatch(number, x[p], target[p], None if weights is None else weights[p], first) for p in parts]


def gradient(
    captured: CapturedNetwork,
    loss: Objective,
    parts: Sequence[MicroBatch],
    seed: int,
    epoch: int,
    ranks: ProcessGroup | None = None,
) -> float:
    """Compute a network's gradient of the parts as if they were one batch; return that batch's loss.

    The parts are moved to the network's device; a loss on a GPU stays there (see `scratchnet.arrays.to_scalar`). If
    ``ranks`` train together, the parts are this rank's shares, while loss and gradient are those of all shares.
    """
    ranks = ranks or SingleProcess()
    allreduce = allreduce_of(ranks)
    shares = loss.shares([part.target for part in parts], [part.weights for part in parts], allreduce)
    network = captured.network
    like = network.flat().values
    loss_sum, seeded, added = 0.0, 0, False
    for (number, x, target, weights, first), share in zip(parts, shares, strict=True):
        if number != seeded:
            network.reseed(seed, epoch, number, first=first)
            seeded = number
        if len(x) == 0:
            step_without_images(network, loss, ranks)
            continue
        if on_gpu(like):
            loss.check(target)  # on the host, where reading it does not wait for the GPU
        labels, factors = to_device_of(like, target), None if weights is None else to_device_of(like, weights)
        value, dlogits = loss(captured.forward(to_device_of(like, x)), labels, factors, share, allreduce)
        captured.backward(dlogits, add=added)
        loss_sum, added = loss_sum + value, True
    if not added:
        network.zero_grad()
    sum_gradients(network, ranks)
    return loss_sum if ranks.size == 1 else total(loss_sum, ranks, like)
