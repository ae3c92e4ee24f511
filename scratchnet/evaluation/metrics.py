"""Confusion matrix, and the metrics computed from it.

Counts are accumulated over the whole data set and divided once: the IoU of a set is not the mean of its images' IoUs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet.arrays import Array, get_array_module


def confusion_matrix(truth: Array, prediction: Array, classes: int, ignore_index: int | None = 255) -> Array:
    """Count how often each true class was predicted as each class; matrices of several images may be added.

    Parameters
    ----------
    truth, prediction : Array
        Class indices, integers, of the same shape (any) and on the same device.
    classes : int
        Number of classes K.
    ignore_index : int or None
        Pixels with this value in ``truth`` are ignored; None counts all pixels.

    Returns
    -------
    (K, K) int64
        Row = true class, column = predicted class.

    Raises
    ------
    ValueError
        If the shapes differ or a counted pixel has a value outside 0…K−1.

    Examples
    --------
    >>> import numpy as np
    >>> confusion_matrix(np.array([0, 0, 1, 255]), np.array([0, 1, 1, 1]), classes=2)
    array([[1, 1],
           [0, 1]])
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"confusion_matrix: truth has shape {truth.shape} but prediction {prediction.shape}")
    xp = get_array_module(truth)
    true, predicted = truth.ravel().astype(xp.int64), prediction.ravel().astype(xp.int64)
    if ignore_index is not None:
        counted = true != ignore_index
        true, predicted = true[counted], predicted[counted]
    _check_classes("truth", true, classes)
    _check_classes("prediction", predicted, classes)
    counts: Array = xp.bincount(true * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(xp.int64)


def _check_classes(name: str, values: Array, classes: int) -> None:
    """Raise a ValueError unless all values are from 0 to ``classes`` − 1."""
    if values.size and not (values.min() >= 0 and values.max() < classes):
        wrong = int(values[(values < 0) | (values >= classes)][0])
        raise ValueError(f"confusion_matrix: {name} holds the value {wrong}, expected classes 0 to {classes - 1}")


@dataclass(frozen=True)
class Metrics:
    """Metrics of one confusion matrix n, where n[i, j] pixels of class i were predicted as j.

    With t_i = Σ_j n[i, j] pixels of class i in truth and p_i = Σ_j n[j, i] predicted ones:

    Attributes
    ----------
    accuracy : float
        Pixel (global) accuracy, Σ n[i, i] / Σ t_i.
    mean_accuracy : float
        Mean of ``class_accuracy`` over the classes that occur in truth.
    mean_iou : float
        Mean of ``iou`` over the classes that occur in truth.
    fw_iou : float
        Frequency weighted IoU, Σ t_i·iou_i / Σ t_i.
    class_accuracy : tuple of float
        n[i, i] / t_i; nan if the class does not occur in truth.
    iou : tuple of float
        n[i, i] / (t_i + p_i − n[i, i]); nan if the class occurs neither in truth nor in the prediction.
    dice : tuple of float
        2·n[i, i] / (t_i + p_i); 1 if the class occurs in neither, as in `dice`.
    pixels : tuple of int
        t_i.

    Notes
    -----
    Definitions after Long, Shelhamer and Darrell (2015), section 5, except that the means exclude classes that do
    not occur instead of being undefined. If no pixel is counted, every mean is nan.
    """

    accuracy: float
    mean_accuracy: float
    mean_iou: float
    fw_iou: float
    class_accuracy: tuple[float, ...]
    iou: tuple[float, ...]
    dice: tuple[float, ...]
    pixels: tuple[int, ...]

    @property
    def foreground_iou(self) -> float:
        """IoU of class 1 in a two-class task; ValueError with another number of classes."""
        if len(self.iou) != 2:
            raise ValueError(f"foreground_iou: needs two classes, these metrics have {len(self.iou)}")
        return self.iou[1]

    def to_dict(self) -> dict[str, Any]:
        """Return the values by attribute name, tuples as lists and nan as None, ready for JSON."""
        return {
            name: [none_for_nan(item) for item in value] if isinstance(value, tuple) else none_for_nan(value)
            for name, value in vars(self).items()
        }

    def table(self, class_names: Sequence[str], bf: Sequence[float] | None = None) -> str:
        """Return an aligned text table, one line per class and one of means.

        Parameters
        ----------
        class_names : sequence of str
        bf : sequence of float or None
            Boundary F1 of every class, shown in a separate column.

        Raises
        ------
        ValueError
            If the number of names is not the number of classes.
        """
        if len(class_names) != len(self.iou):
            raise ValueError(f"table: {len(class_names)} class names given for {len(self.iou)} classes")
        total = sum(self.pixels)
        width = max(len(name) for name in (*class_names, "class", "mean"))
        lines = [f"{'class':<{width}}   pixels  accuracy     IoU    Dice" + ("" if bf is None else "      BF")]
        for i, name in enumerate(class_names):
            share = f"{100 * self.pixels[i] / total:.1f} %" if total else "–"
            values = f"{number(self.class_accuracy[i]):>8}  {number(self.iou[i]):>6}  {number(self.dice[i]):>6}"
            outline = "" if bf is None else f"  {number(bf[i]):>6}"
            lines.append(f"{name:<{width}}  {share:>7}  {values}{outline}")
        means = f"{number(self.mean_accuracy):>8}  {number(self.mean_iou):>6}"
        lines += [
            f"{'mean':<{width}}  {'':>7}  {means}",
            "",
            f"pixel accuracy {number(self.accuracy)}, frequency weighted IoU {number(self.fw_iou)}",
        ]
        return "\n".join(lines)


def metrics(confusion: Array) -> Metrics:
    """Return all metrics of a (K, K) confusion matrix, row = truth, column = prediction; see `Metrics`.

    Examples
    --------
    >>> import numpy as np
    >>> result = metrics(np.array([[6, 2], [1, 3]]))
    >>> result.accuracy, result.foreground_iou
    (0.75, 0.5)
    """
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f"metrics: expected a (K, K) matrix of counts, got {confusion.shape}")
    hits = np.diag(confusion).astype(np.float64)
    true = confusion.sum(axis=1).astype(np.float64)
    predicted = confusion.sum(axis=0).astype(np.float64)
    occurs = true > 0
    class_accuracy = ratio(hits, true, empty=np.nan)
    iou = ratio(hits, true + predicted - hits, empty=np.nan)
    dices = ratio(2 * hits, true + predicted, empty=1.0)
    total = true.sum()
    return Metrics(
        accuracy=float(hits.sum() / total) if total else float("nan"),
        mean_accuracy=_mean(class_accuracy[occurs]),
        mean_iou=_mean(iou[occurs]),
        fw_iou=float((true * iou)[occurs].sum() / total) if total else float("nan"),
        class_accuracy=tuple(class_accuracy.tolist()),
        iou=tuple(iou.tolist()),
        dice=tuple(dices.tolist()),
        pixels=tuple(true.astype(np.int64).tolist()),
    )


def dice(truth: Array, prediction: Array) -> float:
    """Return the overlap ``2·|X∩Y| / (|X| + |Y|)`` of two masks of the same shape (non-zero is inside).

    The Dice of two empty masks is defined as 1, so that an image without an object scores 1 if the prediction is empty
    and 0 otherwise.

    >>> import numpy as np
    >>> dice(np.array([1, 1, 0]), np.array([0, 1, 0])), dice(np.zeros(3), np.zeros(3))
    (0.6666666666666666, 1.0)
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"dice: truth has shape {truth.shape} but prediction {prediction.shape}")
    inside_truth, inside_prediction = truth.astype(bool), prediction.astype(bool)
    size = int(inside_truth.sum()) + int(inside_prediction.sum())
    return 2 * int((inside_truth & inside_prediction).sum()) / size if size else 1.0


def ratio(numerator: Array, denominator: Array, *, empty: float) -> Array:
    """Divide elementwise; the result is ``empty`` if the denominator is 0."""
    result: Array = np.divide(numerator, denominator, out=np.full(numerator.shape, empty), where=denominator > 0)
    return result


def _mean(values: Array) -> float:
    """Return the mean, or nan (without NumPy's warning) for an empty array."""
    return float(values.mean()) if values.size else float("nan")


def none_for_nan(value: float) -> float | None:
    """Return ``value``, or None for nan, which JSON lacks."""
    return None if np.isnan(value) else value


def number(value: float) -> str:
    """Format with four decimals, nan as a dash."""
    return "–" if np.isnan(value) else f"{value:.4f}"
