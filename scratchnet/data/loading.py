"""Batches, read and augmented in the background while the network works on the one before."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.data.augmentation import Augmentation, Pair, augment
from scratchnet.data.sample_source import SampleSource
from scratchnet.utils.errors import UserError

T = TypeVar("T")
R = TypeVar("R")


def prefetch(items: Iterable[T], make: Callable[[T], R], ahead: int = 4) -> Iterator[R]:
    """Yield ``make(item)`` for every item, in order, from one background thread that works ahead.

    Parameters
    ----------
    items : iterable
        Taken in the caller's thread.
    make : callable
        Runs in the background. What it raises is raised here, at its place in the order.
    ahead : int
        How many results may wait, which bounds the memory. When the iterator is closed, also by an exception such as
        Ctrl-C in the loop round it, the thread ends after the call of ``make`` that it is in.

    Notes
    -----
    Where the system allows no more threads, the caller's makes the results.
    """
    waiting: deque[Future[R]] = deque()
    worker = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
    try:
        for item in items:
            waiting.append(_begun(worker, make, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        worker.shutdown(cancel_futures=True)


def _begun(worker: ThreadPoolExecutor, make: Callable[[T], R], item: T) -> Future[R]:
    """Hand one call to the thread, or do it here if there is none."""
    try:
        return worker.submit(make, item)
    except RuntimeError:  # a limit on processes or memory
        done: Future[R] = Future()
        try:
            done.set_result(make(item))
        except Exception as error:
            done.set_exception(error)
        return done


def epoch_batches(
    dataset: SampleSource,
    batch_size: int,
    seed: int,
    epoch: int,
    augmentation: Augmentation | None = None,
    *,
    shuffle: bool = True,
    drop_last: bool = False,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[Pair]:
    """Yield the batches of one epoch, or one process's share of each.

    The order depends on ``seed`` and ``epoch`` alone and a sample's changes on ``seed``, ``epoch`` and its index: a
    run that is resumed repeats the interrupted one bit for bit, and skipping batches changes nothing in the others.

    Parameters
    ----------
    dataset : SampleSource
    batch_size : int
        Samples in a batch; the last batch of an epoch has what is left.
    seed, epoch : int
    augmentation : Augmentation or None
        None leaves the samples as they are.
    shuffle : bool
        Random order; else the order of the set.
    drop_last : bool
        Leave out a last batch that is not full.
    rank, ranks : int
        Process ``rank`` of so many gets the images :func:`shard_slice` a batch, none at all if the batch is small.

    Yields
    ------
    images : (n, h, w, 3) uint8
    masks : (n, h, w) uint8

    Raises
    ------
    UserError
        When the batch size is under 1, the images of a batch differ in size, or a file cannot be read.
    """
    if batch_size < 1:
        raise UserError(f"batch size {batch_size}: expected at least 1")
    count = len(dataset)
    order = generator(seed, "order", epoch).permutation(count) if shuffle else np.arange(count)
    stop = count - count % batch_size if drop_last else count

    def sample(index: int) -> Pair:
        image, mask = dataset.load(index)
        if augmentation is None:
            return image, mask
        rng = generator(seed, "augmentation", epoch, index)
        return augment(image, mask, rng, augmentation, lambda rng: dataset.load(int(rng.integers(count))))

    def batch(start: int) -> Pair:
        whole = order[start : min(start + batch_size, stop)]
        indices = [int(index) for index in whole[shard_slice(len(whole), rank, ranks)]]
        if not indices:
            return np.zeros((0, 1, 1, 3), np.uint8), np.zeros((0, 1, 1), np.uint8)
        pairs = [sample(index) for index in indices]
        images, masks = [image for image, _ in pairs], [mask for _, mask in pairs]
        _check_sizes(dataset, indices, masks)
        return np.stack(images), np.stack(masks)

    return prefetch(range(0, stop, batch_size), batch)


def shard_slice(count: int, rank: int, ranks: int) -> slice:
    """Return which of ``count`` things in a row are those of process ``rank`` of so many: neighbours, evenly shared.

    >>> [shard_slice(5, rank, 2) for rank in range(2)]
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return slice(count * rank // ranks, count * (rank + 1) // ranks)


def _check_sizes(dataset: SampleSource, indices: list[int], masks: list[Array]) -> None:
    """Refuse a batch of images of different sizes."""
    first = masks[0].shape
    for index, mask in zip(indices, masks, strict=True):
        if mask.shape != first:
            names = dataset.names
            raise UserError(
                f"{names[index]} is {mask.shape[0]}×{mask.shape[1]} pixels but {names[indices[0]]} in the same batch "
                f"is {first[0]}×{first[1]} (height × width); set a crop, a tile size or a common size "
                "(resize), or batch size 1"
            )
