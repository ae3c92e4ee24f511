"""Softmax cross-entropy in chunks of pixels that stay in a core's cache, on all cores."""

from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.chunks import CHUNK_BYTES
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for
from scratchnet.engine.memory.pool import pooled_empty

MAX_PLANES = 8
"""Up to this number of classes, the gradient is written class by class."""


def softmax_cross_entropy(logits: Array, labels: Array, factors: Array) -> tuple[float, Array]:
    """Return the loss and its gradient; as :func:`scratchnet.ops.losses.softmax_cross_entropy`."""
    classes, dlogits = logits.shape[3], pooled_empty(logits, logits.shape)
    maps = logits.reshape(-1, classes), labels.reshape(-1), factors.reshape(-1), dlogits.reshape(-1, classes)
    chunks = _chunks(labels.size, classes * logits.itemsize)
    losses = np.zeros(len(chunks))

    def work(indexed: tuple[int, slice]) -> None:
        index, chunk = indexed
        with np.errstate(invalid="ignore"):  # infinite logits are handled at the end
            losses[index] = _chunk(*(m[chunk] for m in maps))

    parallel_for(work, list(enumerate(chunks)), OPERATIONS_PER_ELEMENT * logits.size)
    return float(losses.sum()), dlogits


def _chunks(pixels: int, pixel_bytes: int) -> list[slice]:
    """Split pixels into chunks that fit a core's cache, independently of the number of threads."""
    step = max(1, CHUNK_BYTES // max(1, pixel_bytes))
    return [slice(begin, begin + step) for begin in range(0, pixels, step)]


def _chunk(z: Array, label: Array, factor: Array, dz: Array) -> Any:
    """Return the loss of pixels (p, classes) and write its gradient to ``dz``.

    The classes come first here: a sum over two or twenty adjacent values is slow, a sum over whole planes is fast.
    """
    classes = z.shape[1]
    planes, product = pooled_empty(z, z.T.shape), pooled_empty(z, z.T.shape)
    planes[...] = z.T
    planes -= planes.max(axis=0)
    truth = label == np.arange(classes)[:, None]
    of_truth = np.multiply(planes, truth, out=product).sum(axis=0)
    np.exp(planes, out=planes)
    total = planes.sum(axis=0)
    loss = ((np.log(total) - of_truth) * factor).sum(dtype=np.float64)
    if not np.isfinite(loss):  # infinite or NaN logits, perhaps of pixels that do not count
        return _chunk_with_infinities(z, label, factor, dz)
    planes *= factor / total
    planes -= np.multiply(truth, factor, out=product)
    if classes <= MAX_PLANES:  # plane by plane: NumPy would loop along the shorter axis of the output
        for plane, column in zip(planes, dz.T, strict=True):
            column[...] = plane
    else:
        dz[...] = planes.T
    return loss


def _chunk_with_infinities(z: Array, label: Array, factor: Array, dz: Array) -> Any:
    """Return the loss of pixels (p, classes) with infinite or NaN logits, and write its gradient to ``dz``.

    :func:`_chunk` multiplies by zeros, and ``inf · 0`` is NaN; this function selects instead.
    """
    counts = factor != 0
    z = np.where(counts[:, None], z, 0)
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z)
    total = p.sum(axis=1, keepdims=True)
    truth = label[:, None] == np.arange(z.shape[1])
    losses = (np.log(total) - np.where(truth, z, 0).sum(axis=1, keepdims=True))[:, 0] * factor
    dz[...] = np.where(counts[:, None], (p / total - truth) * factor[:, None], 0)
    return np.where(counts, losses, 0).sum(dtype=np.float64)
