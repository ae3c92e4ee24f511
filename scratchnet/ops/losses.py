"""Pixelwise cross-entropy from logits: sigmoid for one channel, softmax for several.

For a pixel with logits z and label t:

    sigmoid:  −t·log σ(z) − (1−t)·log(1−σ(z)) = max(z·(1−2t), 0) + log(1 + e^(−|z|))   gradient: σ(z) − t
    softmax:  −log( e^(z_t) / Σ e^(z_j) ) = log Σ e^(z_j − m) − (z_t − m), m = max z    gradient: softmax(z) − onehot(t)

The right-hand forms never take the logarithm of a probability that was rounded to 0, so logits of 40 or 4000 are safe.

Each pixel's loss and gradient are multiplied by its factor (see :mod:`scratchnet.ops.pixel_factors`). A pixel that is
ignored or has weight 0 contributes exactly 0 to both, even if its logits are infinite or NaN. A class with the logit −∞
has probability 0.
"""

import numpy as np

from scratchnet.arrays import Array, get_array_module, to_scalar
from scratchnet.engine.dispatch import labels as labels_of
from scratchnet.engine.dispatch import operation
from scratchnet.ops.activation import sigmoid

COUNTED = labels_of("n h w", np.int64)
"""The labels that ``pixel_factors`` returns."""


@operation(logits="n h w k", labels=COUNTED, factors="n h w")
def softmax_cross_entropy(logits: Array, labels: Array, factors: Array) -> tuple[float, Array]:
    """Return the loss and its gradient with respect to the logits.

    Parameters
    ----------
    logits : (n, h, w, classes)
    labels, factors : (n, h, w)
        From :func:`~scratchnet.ops.pixel_factors.pixel_factors`.

    Returns
    -------
    loss : float
        Summed in float64; on a GPU a zero-dimensional array, which stays on the device.
    dlogits : (n, h, w, classes)

    Examples
    --------
    >>> from scratchnet.ops.pixel_factors import pixel_factors
    >>> logits = np.array([40.0, 0.0]).reshape(1, 1, 1, 2)
    >>> labels, factors = pixel_factors(np.array([[[1]]]), logits, classes=2)
    >>> loss, dlogits = softmax_cross_entropy(logits, labels, factors)
    >>> round(loss, 6), dlogits.ravel()
    (40.0, array([ 1., -1.]))
    """
    xp = get_array_module(logits)
    counted = (factors != 0)[..., None]
    z = xp.where(counted, logits, logits.dtype.type(0))  # ignored logits may be infinite or NaN
    truth = labels[..., None] == xp.arange(logits.shape[3])
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        z = z - z.max(axis=-1, keepdims=True)
    exps = xp.exp(z)
    total = exps.sum(axis=-1, keepdims=True)
    of_truth = xp.where(truth, z, z.dtype.type(0)).sum(axis=-1)  # not z · truth: −∞ · 0 is NaN
    losses = (xp.log(total[..., 0]) - of_truth) * factors
    return to_scalar(losses.sum(dtype=np.float64)), (exps / total - truth) * factors[..., None]


@operation(logits="n h w k", labels=COUNTED, factors="n h w")
def sigmoid_cross_entropy(logits: Array, labels: Array, factors: Array) -> tuple[float, Array]:
    """Return the loss of a two-class problem with a single logit, and its gradient with respect to the logits.

    Parameters
    ----------
    logits : (n, h, w, 1)
        Positive means class 1.
    labels, factors : (n, h, w)
        From ``pixel_factors`` with two classes.

    Returns
    -------
    loss : float
    dlogits : (n, h, w, 1)
    """
    if logits.shape[3] != 1:
        raise ValueError(f"sigmoid_cross_entropy: logits {logits.shape} must have one channel")
    xp = get_array_module(logits)
    z = logits[..., 0].copy()
    z[factors == 0] = 0  # ignored logits may be infinite or NaN
    truth = labels.astype(z.dtype)
    wrong = z * (1 - 2 * truth)  # how far the logit is on the wrong side; z·t would be NaN for an infinite z
    losses = (xp.maximum(wrong, 0) + xp.log1p(xp.exp(-xp.abs(z)))) * factors
    dlogits: Array = (sigmoid(z) - truth) * factors
    return to_scalar(losses.sum(dtype=np.float64)), dlogits[..., None]
