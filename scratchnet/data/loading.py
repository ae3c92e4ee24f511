"""Batches, loaded and augmented in a background thread while the network works on the previous batch."""

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
    """Yield ``make(item)`` for every item, in order, computed ahead in one background thread.

    Parameters
    ----------
    items : iterable
        Consumed in the caller's thread.
    make : callable
        Called in the background. Its exceptions are raised in the caller, in order.
    ahead : int
        Maximum number of waiting results, which limits the memory. When the iterator is closed, also by an exception
        such as Ctrl-C in the caller's loop, the thread ends after its current call of ``make``.

    Notes
    -----
    If the system allows no more threads, ``make`` is called in the caller's thread.
    """
    pending: deque[Future[R]] = deque()
    worker, wait = ThreadPoolExecutor(1, thread_name_prefix="prefetch"), True
    try:
        for item in items:
            pending.append(_submit(worker, make, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except GeneratorExit:
        wait = (
            False  # the garbage collector may close the iterator in a thread that holds locks which a wait would need
        )
        raise
    finally:
        worker.shutdown(wait, cancel_futures=True)


def _submit(worker: ThreadPoolExecutor, make: Callable[[T], R], item: T) -> Future[R]:
    """Submit a call to the thread, or make it here if there is none."""
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
    samples: int | None = None,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[Pair]:
    """Yield the batches of one epoch, or one process's shard of each.

    The order depends on ``seed`` and ``epoch`` only, and the augmentation of a sample on ``seed``, ``epoch`` and its
    index. A resumed run thus repeats the interrupted one bit for bit.

    Parameters
    ----------
    drop_last : bool
        Omit a smaller last batch.
    samples : int or None
        Samples in the epoch, repeated (with other augmentation) or a part of them; None takes each once.
    rank, ranks : int
        Process ``rank`` gets the :func:`shard_slice` of a batch, which may be empty.

    Yields
    ------
    images (n, h, w, 3) and masks (n, h, w), uint8; a UserError if their sizes differ or a file cannot be read.
    """
    _check_batch_size(batch_size)
    order = _order(len(dataset), samples or len(dataset), seed, epoch, shuffle)
    stop = len(order) - len(order) % batch_size if drop_last else len(order)

    def batch(start: int) -> Pair:
        whole = order[start : min(start + batch_size, stop)]
        return _load_batch(dataset, whole[shard_slice(len(whole), rank, ranks)], seed, epoch, augmentation)

    return prefetch(range(0, stop, batch_size), batch)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise UserError(f"batch size {batch_size}: expected at least 1")


def _order(length: int, count: int, seed: int, epoch: int, shuffle: bool) -> list[tuple[int, int]]:
    """Return ``count`` tuples (index, how often it occurred before in this epoch): whole passes, and a part of one."""
    order: list[tuple[int, int]] = []
    for turn in range(-(-count // length)):
        key = ("order", epoch, turn) if turn else ("order", epoch)
        indices = generator(seed, *key).permutation(length) if shuffle else np.arange(length)
        order += [(index, turn) for index in indices.tolist()]
    return order[:count]


def _load_batch(
    dataset: SampleSource, drawn: list[tuple[int, int]], seed: int, epoch: int, augmentation: Augmentation | None
) -> Pair:
    """Return images (n, h, w, 3) and masks (n, h, w) of some samples, augmented; (0, 1, 1, …) without samples.

    Samples are given as tuples (index, how often it occurred before in this epoch).
    """
    if not drawn:
        return np.zeros((0, 1, 1, 3), np.uint8), np.zeros((0, 1, 1), np.uint8)

    def load(index: int, turn: int) -> Pair:
        pair = dataset.load(index)
        if augmentation is None:
            return pair
        key = ("augmentation", epoch, index, turn) if turn else ("augmentation", epoch, index)
        rng = generator(seed, *key)
        return augment(*pair, rng, augmentation, lambda rng: dataset.load(int(rng.integers(len(dataset)))))

    pairs = [load(index, turn) for index, turn in drawn]
    images, masks = [image for image, _ in pairs], [mask for _, mask in pairs]
    _check_sizes(dataset, [index for index, _ in drawn], masks)
    return np.stack(images), np.stack(masks)


def shard_slice(count: int, rank: int, ranks: int) -> slice:
    """Return the contiguous, even share of process ``rank`` in ``count`` items.

    >>> [shard_slice(5, rank, 2) for rank in range(2)]
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return slice(count * rank // ranks, count * (rank + 1) // ranks)


def _check_sizes(dataset: SampleSource, indices: list[int], masks: list[Array]) -> None:
    """Raise a UserError if the images of a batch differ in size."""
    first = masks[0].shape
    for index, mask in zip(indices, masks, strict=True):
        if mask.shape != first:
            names = dataset.names
            raise UserError(
                f"{names[index]} is {mask.shape[0]}×{mask.shape[1]} pixels but {names[indices[0]]} in the same batch "
                f"is {first[0]}×{first[1]} (height × width); set a crop, a tile size or a common size "
                "(resize), or batch size 1"
            )
