"""Variants of cross-entropy: focal loss for rare classes, and smoothed labels.

    focal:      u^γ · CE                              gradient: (u^γ + γ·p·u^(γ−1)·CE) · (softmax(z) − onehot(t))
    smoothed:   −Σ q_j · log p_j, q = (1 − ε)·onehot(t) + ε/K for K classes            gradient: softmax(z) − q

Here p is the probability of a pixel's true class, u = 1 − p and CE = −log p.

Focal loss reduces the weight of pixels that are already classified well, which are the majority when a class is rare.
γ = 0 gives cross-entropy; the α of the paper is a class weight. With smoothed labels, the target probability is never
1. A single output channel z is equivalent to the two logits 0 and z.

u is computed as the sum over the other classes rather than as 1 − p, and CE as −log(1 − u) where u is small, so both
are accurate for logits of ±1000.

References: Lin, Goyal, Girshick, He, Dollár, "Focal loss for dense object detection" (2017), equation 4; Szegedy,
Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception architecture" (2016), section 7.
"""

import numpy as np

from scratchnet.arrays import Array, get_array_module, to_scalar
from scratchnet.engine.dispatch import labels as labels_of
from scratchnet.engine.dispatch import operation


@operation(logits="n h w k", labels=labels_of("n h w", np.int64), factors="n h w")
def focal_loss(logits: Array, labels: Array, factors: Array, gamma: float = 2.0) -> tuple[float, Array]:
    """Return the focal loss and its gradient with respect to the logits.

    Parameters
    ----------
    logits : (n, h, w, classes) or (n, h, w, 1)
    labels, factors : (n, h, w)
        From :func:`~scratchnet.ops.pixel_factors.pixel_factors`.
    gamma : float
        γ, 0 or more.

    Returns
    -------
    loss : float
        Summed in float64; on a GPU a zero-dimensional array, which stays on the device.
    dlogits : as ``logits``
    """
    xp, scalar = get_array_module(logits), logits.dtype.type
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
    loss = to_scalar((xp.where(factors == 0, scalar(0), power * entropy) * factors).sum(dtype=xp.float64))
    dz = xp.where(truth, -u[..., None], exps / total[..., None]) * slope[..., None]
    return loss, _as_channels(logits, dz, factors)


@operation(logits="n h w k", labels=labels_of("n h w", np.int64), factors="n h w")
def smoothed_cross_entropy(logits: Array, labels: Array, factors: Array, smoothing: float = 0.1) -> tuple[float, Array]:
    """Return the cross-entropy against smoothed labels and its gradient with respect to the logits.

    Parameters
    ----------
    logits : (n, h, w, classes) or (n, h, w, 1)
    labels, factors : (n, h, w)
        From :func:`~scratchnet.ops.pixel_factors.pixel_factors`; each factor multiplies the whole loss of its pixel.
    smoothing : float
        ε, in [0, 1).

    Returns
    -------
    loss : float
    dlogits : as ``logits``
    """
    xp, scalar = get_array_module(logits), logits.dtype.type
    truth, exps, shifted = _softmax_parts(logits, labels)
    total = exps.sum(axis=-1, keepdims=True)
    q = xp.where(truth, scalar(1 - smoothing + smoothing / truth.shape[-1]), scalar(smoothing / truth.shape[-1]))
    losses = (q * (xp.log(total) - shifted)).sum(axis=-1)
    loss = to_scalar((xp.where(factors == 0, scalar(0), losses) * factors).sum(dtype=xp.float64))
    return loss, _as_channels(logits, (exps / total - q) * factors[..., None], factors)


def _softmax_parts(logits: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Return the one-hot labels, e^(z − m) and z − m, m = max z: (n, h, w, classes); one channel gives two classes."""
    xp = get_array_module(logits)
    z = xp.concatenate([xp.zeros_like(logits), logits], axis=-1) if logits.shape[-1] == 1 else logits
    truth = labels[..., None] == xp.arange(z.shape[-1])
    shifted = z - z.max(axis=-1, keepdims=True)
    return truth, xp.exp(shifted), shifted


def _as_channels(logits: Array, dz: Array, factors: Array) -> Array:
    """Return the gradient with respect to the logits: 0 at ignored pixels, that of class 1 for a single channel."""
    xp = get_array_module(logits)
    dz = xp.where(factors[..., None] == 0, logits.dtype.type(0), dz)
    dlogits: Array = dz[..., 1:] if logits.shape[-1] == 1 else dz
    return dlogits
