"""Common parts of the losses that measure overlap, Dice and Tversky: probabilities, labels, sums and the gradient."""

from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import AllReduce, Array, get_array_module, to_scalar
from scratchnet.ops.activation import sigmoid, softmax


def predictions_and_truth(logits: Array, labels: Array, factors: Array) -> tuple[Array, Array]:
    """Return the probabilities p and the one-hot labels t of the scored classes, (n, h, w, k), 0 at ignored pixels.

    All classes are scored, except for a single logit, where class 1 is.
    """
    xp, zero, channels = get_array_module(logits), logits.dtype.type(0), logits.shape[-1]
    counted = (factors != 0)[..., None]
    logits = xp.where(counted, logits, zero)  # ignored logits may be infinite or NaN
    p = xp.where(counted, sigmoid(logits) if channels == 1 else softmax(logits), zero)
    classes = xp.arange(1, 2) if channels == 1 else xp.arange(channels)
    return p, ((labels[..., None] == classes) & counted).astype(logits.dtype)


def sums_over_processes(sums: Sequence[Array], allreduce: AllReduce | None) -> tuple[Sequence[Array], float]:
    """Return sums per class, (k,) each, over all processes that share the batch, and the number of processes."""
    if allreduce is None:
        return sums, 1.0
    (scored,) = sums[0].shape
    rows = get_array_module(sums[0]).zeros((len(sums) + 1, max(2, scored)), np.float64)
    for row, part in zip(rows, sums, strict=False):
        row[:scored] = part
    rows[-1] = 1
    allreduce(rows)
    return list(rows[:-1, :scored].astype(sums[0].dtype)), to_scalar(rows[-1, 0])


def logits_gradient(dp: Array, p: Array) -> Array:
    """Return the gradient with respect to the logits, given that with respect to the probabilities."""
    binary = p.shape[-1] == 1
    dlogits: Array = dp * p * (1 - p) if binary else p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    return dlogits
