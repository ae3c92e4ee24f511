"""Pixelwise cross-entropy from logits: sigmoid for one channel, softmax for several.

For a pixel with logits z and label t:

    sigmoid:  −t·log σ(z) − (1−t)·log(1−σ(z)) = max(z·(1−2t), 0) + log(1 + e^(−|z|))   gradient: σ(z) − t
    softmax:  −log( e^(z_t) / Σ e^(z_j) ) = log Σ e^(z_j − m) − (z_t − m), m = max z    gradient: softmax(z) − onehot(t)

The right-hand forms never take the logarithm of a probability that was rounded to 0, so logits of 40 or 4000 are safe.

Each pixel's loss is multiplied by its class weight and by its pixel weight (a map, as in U-Net), and the sum is
divided by

- ``"pixels"``: the number of pixels that are not ignored (Caffe; the convention of FCN, SegNet and DeconvNet),
- ``"weights"``: the sum of the weights (PyTorch's ``reduction="mean"``),
- ``"sum"``: 1 (FCN's released training code, which is why its learning rates are so small).

A batch without images, or in which every pixel is ignored, has loss 0 and gradient 0 (PyTorch's mean is NaN there), so
it adds nothing to a sum over batches. A pixel that is ignored or has weight 0 contributes exactly 0 to the loss and the
gradient, even if its logits are infinite or NaN. A class with the logit −∞ has probability 0.
"""

from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from scratchnet.arrays import Array, get_array_module, on_gpu, to_scalar
from scratchnet.engine.dispatch import labels as labels_of
from scratchnet.engine.dispatch import operation
from scratchnet.ops.activation import sigmoid

LABELS = labels_of("n h w")
COUNTED = labels_of("n h w", np.int64)
"""The labels that :func:`pixel_factors` returns."""

Normalization: TypeAlias = Literal["pixels", "weights", "sum"]


@operation(target=LABELS)
def check_labels(target: Array, classes: int, ignore_index: int | None) -> None:
    """Raise a ValueError if a label is neither a class index (0 … ``classes − 1``) nor the ignore label."""
    _check_booleans("check_labels", target, classes)
    _check(_counted(target, ignore_index)[0], classes, ignore_index)


def _check_booleans(name: str, target: Array, classes: int) -> None:
    if target.dtype == bool and classes > 2:
        raise TypeError(f"{name}: target is bool, but there are {classes} classes; use target.astype(numpy.int64)")


def _weights(name: str, weights: Any, shape: tuple[int, ...], like: Array) -> Array:
    """Return real weights of any dtype as an array of ``shape``, with the dtype and module of ``like``."""
    array = get_array_module(like).asarray(weights)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"pixel_factors: {name} are {array.dtype}; expected real numbers")
    if array.shape != shape:
        raise ValueError(f"pixel_factors: {name} have shape {array.shape}, expected {shape}")
    converted: Array = array.astype(like.dtype)
    return converted


def _counted(target: Array, ignore_index: int | None) -> tuple[Array, Array]:
    """Return the labels as int64, with the ignore label replaced by 0, and a mask of the pixels that count."""
    xp = get_array_module(target)
    labels = target.astype(xp.int64)
    counts: Array = xp.ones(labels.shape, bool) if ignore_index is None else labels != ignore_index
    return labels * counts, counts


def _check(labels: Array, classes: int, ignore_index: int | None) -> None:
    if labels.size and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise ValueError(
            f"target holds the label {int(labels.min()) if int(labels.min()) < 0 else int(labels.max())}; "
            f"expected 0 … {classes - 1}" + ("" if ignore_index is None else f" or {ignore_index} (ignored)")
        )


@operation(target=LABELS, like="...")
def pixel_factors(
    target: Array,
    like: Array,
    classes: int,
    class_weights: Array | None = None,
    pixel_weights: Array | None = None,
    ignore_index: int | None = 255,
    normalization: Normalization = "pixels",
) -> tuple[Array, Array]:
    """Return each pixel's label and the factor on its loss (0 where ignored), including the normalisation.

    Parameters
    ----------
    target : (n, h, w) integers
    like : Array
        Array that determines the dtype and module of the factors.
    classes : int
        Labels run from 0 to ``classes − 1``.
    class_weights : (classes,) or None
    pixel_weights : (n, h, w) or None
        Real numbers of any dtype, as are the class weights.
    ignore_index : int or None
        The label of ignored pixels.
    normalization : "pixels", "weights" or "sum"

    Returns
    -------
    labels : (n, h, w) int64
        The ignore label is replaced by 0.
    factors : (n, h, w)

    Raises
    ------
    ValueError
        If a label is neither a class index nor the ignore label. Labels on a GPU are not checked, to avoid waiting for
        the device; call :func:`check_labels` while they are still on the host.
    """
    xp = get_array_module(like)
    _check_booleans("pixel_factors", target, classes)
    if normalization not in get_args(Normalization):
        raise ValueError(
            f"pixel_factors: normalization is {normalization!r}; expected one of {get_args(Normalization)}"
        )
    labels, counts = _counted(target, ignore_index)
    if not on_gpu(labels):
        _check(labels, classes, ignore_index)
    weights = counts.astype(like.dtype)
    if class_weights is not None:
        weights = weights * _weights("class_weights", class_weights, (classes,), like)[labels]
    if pixel_weights is not None:
        each = _weights("pixel_weights", pixel_weights, target.shape, like)
        weights = xp.where(counts, weights * each, like.dtype.type(0))  # ignored ones may be infinite or NaN
    divisor = {"pixels": counts, "weights": weights, "sum": xp.ones(1)}[normalization].sum(dtype=xp.float64)
    factors: Array = weights / xp.where(divisor == 0, 1, divisor).astype(like.dtype)
    return labels, factors


@operation(logits="n h w k", labels=COUNTED, factors="n h w")
def softmax_cross_entropy(logits: Array, labels: Array, factors: Array) -> tuple[float, Array]:
    """Return the loss and its gradient with respect to the logits.

    Parameters
    ----------
    logits : (n, h, w, classes)
    labels, factors : (n, h, w)
        From :func:`pixel_factors`.

    Returns
    -------
    loss : float
        Summed in float64; on a GPU a zero-dimensional array, which stays on the device.
    dlogits : (n, h, w, classes)

    Examples
    --------
    >>> import numpy as np
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
        From :func:`pixel_factors` with two classes.

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
