"""The Dice loss: optimise the overlap directly.

    D = (2 Σ p·t + s) / (Σ p + Σ t + s)        loss = 1 − mean of D over the classes

The Dice coefficient ``2|X ∩ Y| / (|X| + |Y|)`` measures the overlap of two sets. Replacing the set X by probabilities
p and the set Y by labels t gives a differentiable function. It is insensitive to how rare the foreground is. The
smoothing s avoids 0/0 for an empty class: two empty masks have D = 1.

Reference: Milletari, Navab, Ahmadi, "V-Net" (2016), section 3, with the sum instead of the squares in the denominator.
"""

import numpy as np

from scratchnet.arrays import AllReduce, Array, to_scalar
from scratchnet.engine.dispatch import labels as labels_of
from scratchnet.engine.dispatch import operation
from scratchnet.ops.channel_sums import PIXELS
from scratchnet.ops.overlap import logits_gradient, predictions_and_truth, sums_over_processes


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
    p, t = predictions_and_truth(logits, labels, factors)
    sums = 2 * (p * t).sum(axis=PIXELS), p.sum(axis=PIXELS) + t.sum(axis=PIXELS)
    (overlap, total), processes = sums_over_processes(sums, allreduce)
    overlap, total = overlap + logits.dtype.type(smooth), total + logits.dtype.type(smooth)
    loss = (1 - to_scalar((overlap / total).mean())) / processes
    dp = (overlap / total**2 - (2 / total) * t) / logits.dtype.type(len(total))
    return loss, logits_gradient(dp, p)
