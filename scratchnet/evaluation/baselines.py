"""Two baselines that ignore shape; only the gain over them is due to a network."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scratchnet.arrays import Array
from scratchnet.evaluation.metrics import Metrics, confusion_matrix, metrics, ratio
from scratchnet.utils.shape_checks import check_image, check_pair

Channel = Literal["red", "green", "blue", "grey"]
CHANNELS: tuple[Channel, ...] = ("red", "green", "blue", "grey")


def all_background_baseline(image: Array) -> Array:
    """Return a mask (h, w) uint8 of zeros for an image (h, w, 3): background everywhere.

    If most pixels are background its pixel accuracy is high, which is why accuracy alone is not informative.
    """
    check_image("all_background_baseline", image)
    return np.zeros(image.shape[:-1], np.uint8)


@dataclass(frozen=True)
class ThresholdBaseline:
    """Segmentation by one threshold on one channel, the minimum that a network should beat.

    Attributes
    ----------
    channel : {"red", "green", "blue", "grey"}
        The thresholded value; grey is the mean of the three channels, rounded down.
    threshold : int
        0 to 255.
    above : bool
        Foreground is ``value > threshold`` if True, ``value <= threshold`` if False.
    """

    channel: Channel
    threshold: int
    above: bool

    def __str__(self) -> str:
        return f"{self.channel} {'>' if self.above else '≤'} {self.threshold}"

    def predict(self, image: Array) -> Array:
        """Return the mask (h, w) uint8 of 0 and 1 for an image (h, w, 3) uint8."""
        check_image("ThresholdBaseline.predict", image)
        values = _channel_values(image, self.channel)
        inside = values > self.threshold if self.above else values <= self.threshold
        return inside.astype(np.uint8)


def fit_threshold_baseline(pairs: Iterable[tuple[Array, Array]], ignore_index: int | None = 255) -> ThresholdBaseline:
    """Choose the channel, threshold and direction with the best foreground IoU over all pairs.

    One histogram of 256 bins per channel and class suffices: its cumulative sums are the counts of all thresholds at
    once.

    Parameters
    ----------
    pairs : iterable of (image, mask)
        Images (…, 3) uint8 with masks (…) of 0 and 1: the *training* set, never the test set.
    ignore_index : int or None
        Mask value of ignored pixels.

    Returns
    -------
    ThresholdBaseline
        The best baseline; ties go to the earlier channel and the lower threshold.
    """
    histograms = np.zeros((len(CHANNELS), 2, 256), np.int64)
    for image, mask in pairs:
        check_pair("fit_threshold_baseline", image, mask)
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
    scores = ratio(hits.astype(np.float64), union.astype(np.float64), empty=1.0)
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
