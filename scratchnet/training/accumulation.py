"""The gradient of one update: of a batch, or of several that count as one large batch."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from scratchnet.arrays import Array, on_gpu, to_device_of
from scratchnet.data import BorderWeights, read_ahead
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.training.distributed.process_group import (
    ProcessGroup,
    SingleProcess,
    over_ranks,
    step_without_images,
    sum_gradients,
    total,
)
from scratchnet.training.objective import Objective

Batch: TypeAlias = tuple[Array, Array, Array | None]
"""Images (n, h, w, 3), masks (n, h, w), and the weights of their pixels (n, h, w) if they have any."""


class MicroBatch(NamedTuple):
    """What passes through the network at once.

    Attributes
    ----------
    number : int
        Of the batch in its epoch; decides what dropout draws.
    x : (n, h, w, c)
    target : (n, h, w)
    weights : (n, h, w) or None
    first : int
        Place in the batch of the first image of a rank.
    """

    number: int
    x: Array
    target: Array
    weights: Array | None
    first: int = 0


def weighted(batches: Iterable[tuple[Array, Array]], border_weights: BorderWeights | None) -> Iterator[Batch]:
    """Give every batch the weights of its pixels, computed in the background."""
    if border_weights is None:
        return ((images, masks, None) for images, masks in batches)
    return read_ahead(batches, lambda batch: (*batch, border_weights(batch[1])))


def cut(
    number: int, x: Array, target: Array, weights: Array | None, alone: int = 0, first: int = 0
) -> list[MicroBatch]:
    """Return a prepared batch as one part or, with the number of its images as ``alone``, image by image.

    A rank has the images from ``first`` on; image by image, the parts of all others have none. Preparing may have made
    the masks larger than the weights; what was added gets those of the border.
    """
    if weights is not None and weights.shape != target.shape:
        grown = zip(target.shape, weights.shape, strict=True)
        weights = np.pad(weights, [(0, new - old) for new, old in grown], mode="edge")
    places = range(-first, alone - first)
    parts = [slice(i, i + 1) if 0 <= i < len(x) else slice(0, 0) for i in places] if alone else [slice(0, len(x))]
    return [MicroBatch(number, x[p], target[p], None if weights is None else weights[p], first) for p in parts]


def gradient(
    passes: CapturedNetwork,
    loss: Objective,
    parts: Sequence[MicroBatch],
    seed: int,
    epoch: int,
    ranks: ProcessGroup | None = None,
) -> float:
    """Leave in a network the gradient of the parts as if they were one batch; return that batch's loss.

    The parts go to the network's device; a loss on a GPU stays there (see `scratchnet.arrays.to_scalar`). Where
    ``ranks`` train together, the parts are one's shares of those of all, and so is nothing of the result.
    """
    ranks = ranks or SingleProcess()
    everywhere = over_ranks(ranks)
    shares = loss.shares([part.target for part in parts], [part.weights for part in parts], everywhere)
    network = passes.network
    there = network.flat().values
    found, seeded, added = 0.0, 0, False
    for (number, x, target, weights, first), share in zip(parts, shares, strict=True):
        if number != seeded:
            network.reseed(seed, epoch, number, first=first)
            seeded = number
        if len(x) == 0:
            step_without_images(network, loss, ranks)
            continue
        if on_gpu(there):
            loss.check(target)  # while it can be read without waiting
        labels, factors = to_device_of(there, target), None if weights is None else to_device_of(there, weights)
        value, dlogits = loss(passes.forward(to_device_of(there, x)), labels, factors, share, everywhere)
        passes.backward(dlogits, add=added)
        found, added = found + value, True
    if not added:
        network.zero_grad()
    sum_gradients(network, ranks)
    return found if ranks.size == 1 else total(found, ranks, there)
