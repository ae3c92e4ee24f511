"""Softmax cross-entropy on a GPU: loss and gradient in one pass (see ``losses.cu``)."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cuda.compiled import THREADS, contiguous, launch
from scratchnet.engine.memory.pool import pooled_empty

TILE_BYTES = 40960
"""Bytes of shared memory for the logits of a block's pixels."""


def softmax_cross_entropy(logits: Array, labels: Array, factors: Array) -> tuple[Array, Array]:
    """Return the loss and its gradient; as :func:`scratchnet.ops.losses.softmax_cross_entropy`.

    Returns
    -------
    loss : () float64
        An array on the GPU: reading it would wait for the device. NaN if a label is not a class index.
    dlogits : (n, h, w, classes)
    """
    logits, labels, factors = contiguous(logits, labels, factors)
    classes, pixels = logits.shape[3], labels.size
    pitch = classes | 1
    most = TILE_BYTES // (pitch * logits.itemsize)
    if most == 0:
        raise ValueError(f"softmax_cross_entropy: {classes} classes are more than a GPU's shared memory holds")
    threads = min(THREADS // 2, 1 << (most.bit_length() - 1))
    dlogits = pooled_empty(logits, logits.shape)
    parts, loss = pooled_empty(logits, (-(-pixels // threads),), np.float64), pooled_empty(logits, (), np.float64)
    given = logits, labels, factors, dlogits, parts, np.int64(pixels), classes, pitch
    launch("losses", "softmax_cross_entropy", logits.dtype, (len(parts),), (threads,), *given)
    launch("losses", "add_parts", logits.dtype, (1,), (THREADS,), parts, loss, len(parts))
    return loss, dlogits
