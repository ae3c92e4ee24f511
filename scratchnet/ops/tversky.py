"""The Tversky loss: overlap with separate weights for false positives and false negatives.

    T = (TP + s) / (TP + α·FP + β·FN + s)        loss = 1 − mean of T over the classes

Here TP = Σ p·t, FP = Σ p·(1 − t) and FN = Σ (1 − p)·t are sums over the pixels, for probabilities p and labels t.
α = β = ½ gives Dice. β > α favours recall over precision, which helps with small lesions. The smoothing s avoids 0/0
for an empty class.

Reference: Salehi, Erdogmus, Gholipour, "Tversky loss function for image segmentation using 3D fully convolutional deep
networks" (2017), equations 1 to 4; they recommend α = 0.3 and β = 0.7.
"""

import numpy as np

from scratchnet.arrays import AllReduce, Array, to_scalar
from scratchnet.engine.dispatch import labels as labels_of
from scratchnet.engine.dispatch import operation
from scratchnet.ops.channel_sums import PIXELS
from scratchnet.ops.overlap import logits_gradient, predictions_and_truth, sums_over_processes


@operation(logits="n h w k", labels=labels_of("n h w", np.int64), factors="n h w")
def tversky_loss(
    logits: Array,
    labels: Array,
    factors: Array,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1.0,
    allreduce: AllReduce | None = None,
) -> tuple[float, Array]:
    """Return the Tversky loss over the batch and its gradient with respect to the logits.

    Parameters
    ----------
    logits : (n, h, w, classes) or (n, h, w, 1)
        One channel is passed through a sigmoid, and class 1 is scored; several through a softmax, and all classes are.
    labels : (n, h, w) integers
    factors : (n, h, w)
        0 for ignored pixels. Other values are not used as weights, because the measure is a ratio.
    alpha, beta : float
        Weights of false positives and of false negatives.
    smooth : float
        The smoothing s.
    allreduce : AllReduce or None
        Given if ``logits`` is one process's share of the batch; T is then computed over the whole batch.

    Returns
    -------
    loss : float
        With ``allreduce``, this process's part; the parts add up to the loss.
    dlogits : as ``logits``
    """
    scalar = logits.dtype.type
    p, t = predictions_and_truth(logits, labels, factors)
    (hits, predicted, true), processes = sums_over_processes([a.sum(axis=PIXELS) for a in (p * t, p, t)], allreduce)
    both = scalar(1 - alpha - beta)
    over = hits + scalar(smooth)
    under = both * hits + scalar(alpha) * predicted + scalar(beta) * true + scalar(smooth)
    loss = (1 - to_scalar((over / under).mean())) / processes
    dp = (over / under**2 * (both * t + scalar(alpha)) - t / under) / scalar(len(under))
    return loss, logits_gradient(dp, p)
