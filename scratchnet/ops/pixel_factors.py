"""The factor of every pixel on the loss: class weight, pixel weight and normalisation.

Each pixel's loss is multiplied by its class weight and by its pixel weight (a map, as in U-Net), and the sum is
divided by

- ``"pixels"``: the number of pixels that are not ignored (Caffe; the convention of FCN, SegNet and DeconvNet),
- ``"weights"``: the sum of the weights (PyTorch's ``reduction="mean"``),
- ``"sum"``: 1 (FCN's released training code, which is why its learning rates are so small).

In a batch without images, or in which every pixel is ignored, all factors are 0. The loss and its gradient are then 0
(PyTorch's mean is NaN there), so such a batch adds nothing to a sum over batches.
"""

from typing import Any, Literal, TypeAlias, get_args

from scratchnet.arrays import Array, get_array_module, on_gpu
from scratchnet.engine.dispatch import labels as labels_of
from scratchnet.engine.dispatch import operation

LABELS = labels_of("n h w")
Normalization: TypeAlias = Literal["pixels", "weights", "sum"]


@operation(target=LABELS)
def check_labels(target: Array, classes: int, ignore_index: int | None) -> None:
    """Raise a ValueError if a label is neither a class index (0 … ``classes − 1``) nor the ignore label."""
    _check_booleans("check_labels", target, classes)
    _check(_counted(target, ignore_index)[0], classes, ignore_index)


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
        Labels from 0 to ``classes − 1``, or ``ignore_index`` at ignored pixels.
    like : Array
        Array with the dtype and module of the factors.
    class_weights, pixel_weights : (classes,) and (n, h, w) of any real dtype, or None

    Returns
    -------
    labels : (n, h, w) int64
        The ignore label is replaced by 0.
    factors : (n, h, w)

    Raises
    ------
    ValueError
        If a label on the host is out of range; labels on a GPU are checked by :func:`check_labels` alone.
    """
    _check_booleans("pixel_factors", target, classes)
    labels, counts = _counted(target, ignore_index)
    _check(labels, classes, ignore_index, only_on_host=True)
    weights = counts.astype(like.dtype)
    if class_weights is not None:
        weights = weights * _as_weights("class_weights", class_weights, (classes,), like)[labels]
    if pixel_weights is not None:
        weights = weights * _as_weights("pixel_weights", pixel_weights, target.shape, like)
        weights = get_array_module(like).where(counts, weights, like.dtype.type(0))  # ignored ones may be NaN
    return labels, _normalized(weights, counts, normalization)


def _normalized(weights: Array, counts: Array, normalization: Normalization) -> Array:
    """Divide the weights by the divisor that ``normalization`` names, or by 1 if that is 0."""
    if normalization not in (names := get_args(Normalization)):
        raise ValueError(f"pixel_factors: normalization is {normalization!r}; expected one of {names}")
    xp = get_array_module(weights)
    divisor = xp.ones(1) if normalization == "sum" else weights.sum(dtype=xp.float64)
    if normalization == "pixels":
        divisor = xp.asarray(xp.count_nonzero(counts))
    factors: Array = weights / xp.where(divisor == 0, 1, divisor).astype(weights.dtype)
    return factors


def _check_booleans(name: str, target: Array, classes: int) -> None:
    if target.dtype == bool and classes > 2:
        raise TypeError(f"{name}: target is bool, but there are {classes} classes; use target.astype(numpy.int64)")


def _as_weights(name: str, weights: Any, shape: tuple[int, ...], like: Array) -> Array:
    """Return real weights of any dtype as an array of ``shape``, with the dtype and module of ``like``."""
    array = get_array_module(like).asarray(weights)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"pixel_factors: {name} are {array.dtype}; expected a real dtype")
    if array.shape != shape:
        raise ValueError(f"pixel_factors: {name} have shape {array.shape}, expected {shape}")
    converted: Array = array.astype(like.dtype)
    return converted


def _counted(target: Array, ignore_index: int | None) -> tuple[Array, Array]:
    """Return the labels as int64, with the ignore label replaced by 0, and a mask of the pixels that count."""
    xp = get_array_module(target)
    labels = target.astype(xp.int64)
    if ignore_index is None:
        return labels, xp.ones(labels.shape, bool)
    counts: Array = labels != ignore_index
    return labels * counts, counts


def _check(labels: Array, classes: int, ignore_index: int | None, only_on_host: bool = False) -> None:
    if only_on_host and on_gpu(labels):
        return
    if labels.size and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise ValueError(
            f"target holds the label {int(labels.min()) if int(labels.min()) < 0 else int(labels.max())}; "
            f"expected 0 … {classes - 1}" + ("" if ignore_index is None else f" or {ignore_index} (ignored)")
        )
