"""Variants of cross-entropy: focal loss for rare classes, and smoothed labels.

With p the probability of a pixel's true class, u = 1 − p and CE = −log p:

    focal:      u^γ · CE                              gradient: (u^γ + γ·p·u^(γ−1)·CE) · (softmax(z) − onehot(t))
    smoothed:   −Σ q_j · log p_j, q = (1 − ε)·onehot(t) + ε/K for K classes            gradient: softmax(z) − q

Focal loss turns down the pixels that are classified well already, which are most of them where a class is rare; γ = 0
is cross-entropy. α of the paper is a class weight. Smoothed labels never ask for a probability of 1. One output channel
z is the same with the two logits 0 and z.

u is summed over the other classes and not taken as 1 − p, and CE is −log(1 − u) where u is small, so that both are
right for logits of ±1000.

References: Lin, Goyal, Girshick, He, Dollár, "Focal loss for dense object detection" (2017), equation 4; Szegedy,
Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception architecture" (2016), section 7.
"""

import numpy as np

from scratchnet.arrays import Array, namespace, number
from scratchnet.ops.arguments import labels as labels_of
from scratchnet.ops.dispatch import operation


@operation(logits="n h w k", labels=labels_of("n h w", np.int64), factors="n h w")
def focal_loss(logits: Array, labels: Array, factors: Array, gamma: float = 2.0) -> tuple[float, Array]:
    """Return the focal loss and its gradient with respect to the logits.

    Parameters
    ----------
    logits : (n, h, w, classes) or (n, h, w, 1)
    labels, factors : (n, h, w)
        From :func:`~scratchnet.ops.losses.pixel_factors`.
    gamma : float
        γ, 0 or more.

    Returns
    -------
    loss : float
        Summed in float64; on a GPU, where it stays there, an array without axes.
    dlogits : as ``logits``
    """
    xp, scalar = namespace(logits), logits.dtype.type
    truth, exps, shifted = _softmax_parts(logits, labels)
    total = exps.sum(axis=-1)
    u = xp.where(truth, scalar(0), exps).sum(axis=-1) / total
    p = xp.where(truth, exps, scalar(0)).sum(axis=-1) / total
    far = xp.log(total) - xp.where(truth, shifted, scalar(0)).sum(axis=-1)
    near = u < 0.5
    entropy = xp.where(near, -xp.log1p(-xp.where(near, u, scalar(0))), far)
    power = u ** scalar(gamma)
    ratio = xp.where(u == 0, scalar(1), entropy / xp.where(u == 0, scalar(1), u))
    slope = (power + scalar(gamma) * p * ratio * power) * factors
    loss = number((xp.where(factors == 0, scalar(0), power * entropy) * factors).sum(dtype=xp.float64))
    dz = xp.where(truth, -u[..., None], exps / total[..., None]) * slope[..., None]
    return loss, _as_channels(logits, dz, factors)


@operation(logits="n h w k", labels=labels_of("n h w", np.int64), factors="n h w")
def smoothed_cross_entropy(logits: Array, labels: Array, factors: Array, smoothing: float = 0.1) -> tuple[float, Array]:
    """Return the cross-entropy against smoothed labels and its gradient with respect to the logits.

    Parameters
    ----------
    logits : (n, h, w, classes) or (n, h, w, 1)
    labels, factors : (n, h, w)
        From :func:`~scratchnet.ops.losses.pixel_factors`; a factor weighs all of a pixel's loss.
    smoothing : float
        ε, from 0 to under 1.

    Returns
    -------
    loss : float
    dlogits : as ``logits``
    """
    xp, scalar = namespace(logits), logits.dtype.type
    truth, exps, shifted = _softmax_parts(logits, labels)
    total = exps.sum(axis=-1, keepdims=True)
    q = xp.where(truth, scalar(1 - smoothing + smoothing / truth.shape[-1]), scalar(smoothing / truth.shape[-1]))
    losses = (q * (xp.log(total) - shifted)).sum(axis=-1)
    loss = number((xp.where(factors == 0, scalar(0), losses) * factors).sum(dtype=xp.float64))
    return loss, _as_channels(logits, (exps / total - q) * factors[..., None], factors)


def _softmax_parts(logits: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Return where the true class is, e^(z − m) and z − m, m = max z; all (n, h, w, classes), two for one channel."""
    xp = namespace(logits)
    z = xp.concatenate([xp.zeros_like(logits), logits], axis=-1) if logits.shape[-1] == 1 else logits
    truth = labels[..., None] == xp.arange(z.shape[-1])
    shifted = z - z.max(axis=-1, keepdims=True)
    return truth, xp.exp(shifted), shifted


def _as_channels(logits: Array, dz: Array, factors: Array) -> Array:
    """Return the gradient with respect to the logits: 0 at ignored pixels, of two classes the second one's."""
    xp = namespace(logits)
    dz = xp.where(factors[..., None] == 0, logits.dtype.type(0), dz)
    dlogits: Array = dz[..., 1:] if logits.shape[-1] == 1 else dz
    return dlogits
