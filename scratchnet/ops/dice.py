"""The Dice loss: optimize overlap directly.

    D = (2 Σ p·t + s) / (Σ p + Σ t + s)        loss = 1 − mean of D over the classes

The Dice coefficient ``2|X ∩ Y| / (|X| + |Y|)`` measures the overlap of two sets. Replacing the set X by probabilities
p and the set Y by labels t gives a differentiable function. It is insensitive to how rare the foreground is. The
smoothing s avoids 0/0 for an empty class: two empty masks have D = 1.

Reference: Milletari, Navab, Ahmadi, "V-Net" (2016), section 3, with the sum instead of the squares in the denominator.
"""

import numpy as np

from scratchnet.arrays import AllReduce, Array, get_array_module, to_scalar
from scratchnet.engine.dispatch import labels as labels_of
from scratchnet.engine.dispatch import operation
from scratchnet.ops.activation import sigmoid, softmax


@operation(logits="n h w k", labels=labels_of("n h w", np.int64), factors="n h w")
def dice_loss(
    logits: Array, labels: Array, factors: Array, smooth: float = 1.0, allreduce: AllReduce | None = None
) -> tuple[float, Array]:
    """Return the Dice loss over the batch and its gradient with respect to the logits.

    Parameters
    ----------
    logits : (n, h, w, classes) or (n, h, w, 1)
        One channel is passed through a sigmoid and only class 1 is scored; several channels are passed through a
        softmax and the classes are averaged.
    labels : (n, h, w) integers
    factors : (n, h, w)
        0 for ignored pixels. Other values are not used as weights, because the measure is a ratio.
    smooth : float
        The smoothing s.
    allreduce : AllReduce or None
        Given if ``logits`` is one process's share of the batch; D is then computed over the whole batch.

    Returns
    -------
    loss : float
        With ``allreduce``, this process's part; the parts add up to the loss.
    dlogits : as ``logits``
    """
    xp = get_array_module(logits)
    binary = logits.shape[-1] == 1
    counted = (factors != 0)[..., None]
    logits = xp.where(counted, logits, logits.dtype.type(0))  # ignored logits may be infinite or NaN
    p = xp.where(counted, sigmoid(logits) if binary else softmax(logits), logits.dtype.type(0))
    classes = xp.arange(1, 2) if binary else xp.arange(logits.shape[-1])
    t = ((labels[..., None] == classes) & counted).astype(logits.dtype)
    axes = (0, 1, 2)
    overlap = 2 * (p * t).sum(axis=axes)
    total = p.sum(axis=axes) + t.sum(axis=axes)
    parts = 1.0
    if allreduce is not None:
        sums = xp.zeros((3, max(2, logits.shape[-1])), xp.float64)
        sums[0, : len(classes)], sums[1, : len(classes)], sums[2] = overlap, total, 1
        allreduce(sums)
        overlap, total = sums[:2, : len(classes)].astype(logits.dtype)
        parts = to_scalar(sums[2, 0])
    overlap, total = overlap + logits.dtype.type(smooth), total + logits.dtype.type(smooth)
    loss = (1 - to_scalar((overlap / total).mean())) / parts
    dp = (overlap / total**2 - (2 / total) * t) / logits.dtype.type(len(classes))
    dlogits: Array = dp * p * (1 - p) if binary else p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    return loss, dlogits
