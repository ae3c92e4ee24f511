"""How good is a segmentation? A confusion matrix, the measures made from it, and two baselines to beat.

Everything here works on class masks alone and knows nothing of networks. Count over the whole set first and divide
once: the IoU of a set is not the mean of its images' IoUs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scratchnet.arrays import Array

Channel = Literal["red", "green", "blue", "grey"]
CHANNELS: tuple[Channel, ...] = ("red", "green", "blue", "grey")


def confusion_matrix(truth: Array, prediction: Array, classes: int, ignore_index: int | None = 255) -> Array:
    """Count how often each true class was predicted as each class.

    Matrices of several images add up to the matrix of the set.

    Parameters
    ----------
    truth, prediction : Array
        Class indices, integers, of one shape (any).
    classes : int
        Number of classes K.
    ignore_index : int or None
        Pixels with this value in ``truth`` do not count; None counts them all.

    Returns
    -------
    Array
        (K, K) int64: row = true class, column = predicted class.

    Raises
    ------
    ValueError
        When the shapes differ or a counted pixel holds a value outside 0…K−1.

    Examples
    --------
    >>> import numpy as np
    >>> confusion_matrix(np.array([0, 0, 1, 255]), np.array([0, 1, 1, 1]), classes=2)
    array([[1, 1],
           [0, 1]])
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"confusion_matrix: truth has shape {truth.shape} but prediction {prediction.shape}")
    true, predicted = truth.ravel().astype(np.int64), prediction.ravel().astype(np.int64)
    if ignore_index is not None:
        counted = true != ignore_index
        true, predicted = true[counted], predicted[counted]
    for name, values in (("truth", true), ("prediction", predicted)):
        if values.size and not (values.min() >= 0 and values.max() < classes):
            wrong = int(values[(values < 0) | (values >= classes)][0])
            raise ValueError(f"confusion_matrix: {name} holds the value {wrong}, expected classes 0 to {classes - 1}")
    counts: Array = np.bincount(true * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


@dataclass(frozen=True)
class Metrics:
    """Measures of one confusion matrix n, where n[i, j] pixels of class i were predicted as j.

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
        n[i, i] / t_i; nan where the class does not occur in truth.
    iou : tuple of float
        n[i, i] / (t_i + p_i − n[i, i]); nan where the class occurs neither in truth nor in the prediction.
    dice : tuple of float
        2·n[i, i] / (t_i + p_i); 1 where the class occurs in neither, as in `dice`.
    pixels : tuple of int
        t_i.

    Notes
    -----
    Definitions after Long, Shelhamer and Darrell (2015), section 5, except that classes which do not occur are left
    out of the means instead of making them undefined. With no pixel counted at all, every mean is nan.
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
        """Return the values under their own names, tuples as lists and nan as None, ready for JSON."""
        return {
            name: [_none_for_nan(item) for item in value] if isinstance(value, tuple) else _none_for_nan(value)
            for name, value in vars(self).items()
        }

    def table(self, class_names: Sequence[str]) -> str:
        """Return an aligned text table, one line a class and one of means.

        Raises
        ------
        ValueError
            When there is not one name a class.
        """
        if len(class_names) != len(self.iou):
            raise ValueError(f"table: {len(class_names)} class names given for {len(self.iou)} classes")
        total = sum(self.pixels)
        width = max(len(name) for name in (*class_names, "class", "mean"))
        lines = [f"{'class':<{width}}   pixels  accuracy     IoU    Dice"]
        for i, name in enumerate(class_names):
            share = f"{100 * self.pixels[i] / total:.1f} %" if total else "–"
            values = f"{_number(self.class_accuracy[i]):>8}  {_number(self.iou[i]):>6}  {_number(self.dice[i]):>6}"
            lines.append(f"{name:<{width}}  {share:>7}  {values}")
        means = f"{_number(self.mean_accuracy):>8}  {_number(self.mean_iou):>6}"
        lines += [
            f"{'mean':<{width}}  {'':>7}  {means}",
            "",
            f"pixel accuracy {_number(self.accuracy)}, frequency weighted IoU {_number(self.fw_iou)}",
        ]
        return "\n".join(lines)


def metrics(confusion: Array) -> Metrics:
    """Return every measure of a (K, K) confusion matrix, row = truth, column = prediction; see `Metrics`.

    Examples
    --------
    >>> import numpy as np
    >>> result = metrics(np.array([[6, 2], [1, 3]]))
    >>> result.accuracy, result.foreground_iou
    (0.75, 0.5)
    """
    hits = np.diag(confusion).astype(np.float64)
    true = confusion.sum(axis=1).astype(np.float64)
    predicted = confusion.sum(axis=0).astype(np.float64)
    occurs = true > 0
    class_accuracy = _ratio(hits, true, empty=np.nan)
    iou = _ratio(hits, true + predicted - hits, empty=np.nan)
    dices = _ratio(2 * hits, true + predicted, empty=1.0)
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
    """Return the overlap 2·|X∩Y| / (|X| + |Y|) of two masks of one shape (True or non-zero is inside).

    Two empty masks agree perfectly: their Dice is defined as 1, so that an image without an object scores 1 when none
    is found in it and 0 as soon as one pixel is.

    >>> import numpy as np
    >>> dice(np.array([1, 1, 0]), np.array([0, 1, 0])), dice(np.zeros(3), np.zeros(3))
    (0.6666666666666666, 1.0)
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"dice: truth has shape {truth.shape} but prediction {prediction.shape}")
    inside_truth, inside_prediction = truth.astype(bool), prediction.astype(bool)
    size = int(inside_truth.sum()) + int(inside_prediction.sum())
    return 2 * int((inside_truth & inside_prediction).sum()) / size if size else 1.0


def all_background_baseline(image: Array) -> Array:
    """Return a mask (h, w) uint8 of zeros for an image (h, w, 3): find nothing, anywhere.

    Where most pixels are background it scores a high pixel accuracy, which is why accuracy alone says little.
    """
    return np.zeros(image.shape[:-1], np.uint8)


@dataclass(frozen=True)
class ThresholdBaseline:
    """A segmentation by one threshold on one channel: the least that a network has to beat.

    Attributes
    ----------
    channel : {"red", "green", "blue", "grey"}
        The value that is compared; grey is the rounded-down mean of the three.
    threshold : int
        0 to 255.
    above : bool
        Foreground is ``value > threshold`` where True, ``value <= threshold`` where False.
    """

    channel: Channel
    threshold: int
    above: bool

    def __str__(self) -> str:
        return f"{self.channel} {'>' if self.above else '≤'} {self.threshold}"

    def predict(self, image: Array) -> Array:
        """Return the mask (h, w) uint8 of 0 and 1 for an image (h, w, 3) uint8."""
        values = _channel_values(image, self.channel)
        inside = values > self.threshold if self.above else values <= self.threshold
        return inside.astype(np.uint8)


def fit_threshold_baseline(pairs: Iterable[tuple[Array, Array]], ignore_index: int | None = 255) -> ThresholdBaseline:
    """Choose the channel, threshold and direction with the best foreground IoU over all pairs together.

    One histogram of 256 bins for each channel and class says all there is to know: its running sums are the counts of
    every threshold at once.

    Parameters
    ----------
    pairs : iterable of (image, mask)
        Images (…, 3) uint8 with masks (…) of 0 and 1: the *training* set, never the one to be tested on.
    ignore_index : int or None
        Mask value of pixels that do not count.

    Returns
    -------
    ThresholdBaseline
        Ties go to the earlier channel, and to the lower threshold.
    """
    histograms = np.zeros((len(CHANNELS), 2, 256), np.int64)
    for image, mask in pairs:
        counted = np.ones(mask.shape, bool) if ignore_index is None else mask != ignore_index
        truth = mask[counted].astype(np.int64)
        if truth.size and truth.max() > 1:
            raise ValueError(f"fit_threshold_baseline: expected masks of 0 and 1, got the value {truth.max()}")
        for i, channel in enumerate(CHANNELS):
            values = _channel_values(image, channel)[counted]
            histograms[i] += np.bincount(truth * 256 + values, minlength=512).reshape(2, 256)
    totals = histograms.sum(axis=2, keepdims=True)  # (channel, class, 1)
    below = histograms.cumsum(axis=2)  # (channel, class, threshold): pixels with value <= threshold
    chosen = np.stack([below, totals - below], axis=1)  # (channel, direction, class, threshold)
    hits, union = chosen[:, :, 1], chosen[:, :, 0] + totals[:, None, 1]
    scores = _ratio(hits.astype(np.float64), union.astype(np.float64), empty=1.0)
    i, above, threshold = (int(k) for k in np.unravel_index(scores.argmax(), scores.shape))
    return ThresholdBaseline(CHANNELS[i], threshold, bool(above))


def baseline_metrics(
    pairs: Iterable[tuple[Array, Array]], threshold: ThresholdBaseline | None, ignore_index: int | None = 255
) -> dict[str, Metrics]:
    """Return the metrics of the baselines for a two-class task over ``pairs`` (image, mask), which may be an iterator.

    The keys are the names to print: "all background" and, for example, "threshold green ≤ 109".
    """
    methods: dict[str, Callable[[Array], Array]] = {"all background": all_background_baseline}
    if threshold is not None:
        methods[f"threshold {threshold}"] = threshold.predict
    counts = {name: np.zeros((2, 2), np.int64) for name in methods}
    for image, mask in pairs:
        for name, predict in methods.items():
            counts[name] += confusion_matrix(mask, predict(image), 2, ignore_index)
    return {name: metrics(count) for name, count in counts.items()}


def _channel_values(image: Array, channel: Channel) -> Array:
    """Return one channel (…) uint8 of an image (…, 3) uint8."""
    if channel == "grey":
        values: Array = image.sum(axis=-1, dtype=np.uint16) // 3
        return values.astype(np.uint8)
    return image[..., CHANNELS.index(channel)]


def _ratio(numerator: Array, denominator: Array, *, empty: float) -> Array:
    """Divide elementwise; where the denominator is 0 the result is ``empty``."""
    result: Array = np.divide(numerator, denominator, out=np.full(numerator.shape, empty), where=denominator > 0)
    return result


def _mean(values: Array) -> float:
    """Return the mean, nan (without NumPy's warning) where there is nothing to average."""
    return float(values.mean()) if values.size else float("nan")


def _none_for_nan(value: float) -> float | None:
    """Return ``value``, or None for nan, which JSON does not have."""
    return None if np.isnan(value) else value


def _number(value: float) -> str:
    """Return four decimals, a dash for nan."""
    return "–" if np.isnan(value) else f"{value:.4f}"
