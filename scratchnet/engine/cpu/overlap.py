"""The parts of the Dice and Tversky losses with the classes first, (k, pixels), where NumPy loops over long rows.

With the classes last, as in a map, a sum over two adjacent values takes ten times as long.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.activation import sigmoid


def predictions_and_truth(logits: Array, labels: Array, factors: Array) -> tuple[Array, Array]:
    """Return p and t, (k, pixels) each, as :func:`scratchnet.ops.overlap.predictions_and_truth`."""
    channels, label, counted = logits.shape[3], labels.reshape(-1), factors.reshape(-1) != 0
    p = pooled_empty(logits, (channels, label.size))
    for plane, values in zip(p, logits.reshape(-1, channels).T, strict=True):
        plane[...] = values
    if not counted.all():
        p[:, ~counted] = 0  # ignored logits may be infinite or NaN
    p = sigmoid(p) if channels == 1 else _softmax(p)
    p *= counted
    classes = np.arange(1, 2) if channels == 1 else np.arange(channels)
    truth = (label == classes[:, None]) & counted
    return p, truth.astype(logits.dtype)


def _softmax(planes: Array) -> Array:
    planes -= planes.max(axis=0)
    np.exp(planes, out=planes)
    planes /= planes.sum(axis=0)
    return planes


def logits_gradient(dp: Array, p: Array, logits: Array) -> Array:
    """Return the gradient with respect to the ``logits`` (n, h, w, channels) from planes (k, pixels)."""
    dplanes = dp * p * (1 - p) if len(p) == 1 else p * (dp - (dp * p).sum(axis=0))
    dlogits = pooled_empty(logits, logits.shape)
    for plane, column in zip(dplanes, dlogits.reshape(-1, logits.shape[3]).T, strict=True):
        column[...] = plane
    return dlogits
