"""Cross-entropy in chunks of pixels that stay in a core's cache, on all cores: softmax and sigmoid."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.chunks import CHUNK_BYTES
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for
from scratchnet.engine.memory.pool import pooled_empty

MAX_PLANES = 8
"""Up to this number of classes, the gradient is written class by class."""

ACCESSES = 10
"""Number of times that a loss accesses each logit or an array of its size, at least."""

MAX_MASKED = 4
"""Up to this number of classes, the value of the true class is selected by a mask; an index takes longer per pixel."""


def softmax_cross_entropy(logits: Array, labels: Array, factors: Array) -> tuple[float, Array]:
    """Return the loss and its gradient; as :func:`scratchnet.ops.losses.softmax_cross_entropy`."""
    return _by_chunks(_chunk, logits, labels, factors)


def sigmoid_cross_entropy(logits: Array, labels: Array, factors: Array) -> tuple[float, Array]:
    """Return the loss and its gradient; as :func:`scratchnet.ops.losses.sigmoid_cross_entropy`."""
    if logits.shape[3] != 1:  # an error, which the plain form raises
        return NotImplemented  # type: ignore[no-any-return]
    return _by_chunks(_sigmoid_chunk, logits, labels, factors)


def _by_chunks(
    function: Callable[[Array, Array, Array, Array], Any], logits: Array, labels: Array, factors: Array
) -> tuple[float, Array]:
    """Call ``function(z, label, factor, dz)``, which returns a loss and writes its gradient, for all chunks."""
    classes, dlogits = logits.shape[3], pooled_empty(logits, logits.shape)
    maps = logits.reshape(-1, classes), labels.reshape(-1), factors.reshape(-1), dlogits.reshape(-1, classes)
    chunks = _chunks(labels.size, classes * logits.itemsize)
    losses = np.zeros(len(chunks))

    def work(indexed: tuple[int, slice]) -> None:
        index, chunk = indexed
        with np.errstate(invalid="ignore"):  # infinite logits are handled at the end
            losses[index] = function(*(m[chunk] for m in maps))

    parallel_for(work, list(enumerate(chunks)), OPERATIONS_PER_ELEMENT * ACCESSES * logits.size)
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
    if classes <= MAX_MASKED:
        truth = label == np.arange(classes)[:, None]
        of_truth = np.multiply(planes, truth, out=product).sum(axis=0)
    else:
        at = label * len(label) + np.arange(len(label))
        of_truth = planes.reshape(-1)[at]
    np.exp(planes, out=planes)
    total = planes.sum(axis=0)
    loss = ((np.log(total) - of_truth) * factor).sum(dtype=np.float64)
    if not np.isfinite(loss):  # infinite or NaN logits, perhaps of pixels that do not count
        return _chunk_with_infinities(z, label, factor, dz)
    planes *= factor / total
    if classes <= MAX_MASKED:
        planes -= np.multiply(truth, factor, out=product)
    else:
        planes.reshape(-1)[at] -= factor
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


def _sigmoid_chunk(z: Array, label: Array, factor: Array, dz: Array) -> Any:
    """Return the loss of pixels (p, 1) with one logit and write its gradient to ``dz``."""
    z, dz = z[:, 0], dz[:, 0]
    e, positive, truth, u, term = (pooled_empty(z, z.shape) for _ in range(5))
    np.copyto(truth, label, casting="unsafe")
    np.greater_equal(z, 0, out=positive, casting="unsafe")
    np.abs(z, out=e)
    np.negative(e, out=e)
    np.exp(e, out=e)  # e^(−|z|)
    np.add(e, 1, out=u)
    np.maximum(positive, e, out=dz)  # 1 for z ≥ 0, else e^z
    np.divide(dz, u, out=dz)  # σ(z)
    np.subtract(dz, truth, out=dz)
    np.multiply(dz, factor, out=dz)
    np.subtract(positive, truth, out=term)
    np.multiply(term, z, out=term)  # |z| on the wrong side, else 0
    _log_of_sum(e, u)
    np.add(term, e, out=term)
    np.multiply(term, factor, out=term)
    loss = term.sum(dtype=np.float64)
    return loss if np.isfinite(loss) else _sigmoid_chunk_with_infinities(z, label, factor, dz)


def _log_of_sum(e: Array, u: Array) -> None:
    """Overwrite ``e`` by log(1 + e), where ``u`` is 1 + e as rounded; ``u`` is overwritten as well.

    NumPy computes ``log`` several values at a time and ``log1p`` one by one. The rounding error of u, which is exactly
    e − (u − 1), is put back by the derivative of the logarithm, 1/u; for e too small to change 1, this is e itself.
    """
    below = np.subtract(u, 1, out=pooled_empty(u, u.shape))
    np.subtract(e, below, out=e)
    np.divide(e, u, out=e)
    np.add(e, np.log(u, out=u), out=e)


def _sigmoid_chunk_with_infinities(z: Array, label: Array, factor: Array, dz: Array) -> Any:
    """Return the loss of pixels (p,) with infinite or NaN logits, and write its gradient to ``dz``."""
    z = np.where(factor != 0, z, z.dtype.type(0))  # those that do not count
    e = np.exp(-np.abs(z))
    wrong = z * (1 - 2 * label).astype(z.dtype)  # z·(positive − label) would be inf·0
    dz[...] = (np.where(z < 0, e, 1) / (1 + e) - label) * factor
    return ((np.maximum(wrong, 0) + np.log1p(e)) * factor).sum(dtype=np.float64)
