"""Calibration: whether a network that says 80 % is right in 80 % of the pixels.

Pixels are grouped into bins by their confidence, the probability of the predicted class. In a calibrated network the
mean confidence of each bin is its accuracy. The expected calibration error is the mean distance between the two,
weighted by the pixels:

    ECE = Σ over the bins of (pixels in the bin / all pixels) · |accuracy − confidence|

Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks" (2017), section 2.
"""

from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array


@dataclass(frozen=True)
class Reliability:
    """The bins of a reliability diagram; bin k holds the confidences from k / bins to (k + 1) / bins.

    Attributes
    ----------
    counts : (bins,) int
        Numbers of pixels.
    confidence, accuracy : (bins,) float64
        Means over the pixels of each bin; nan for a bin without pixels.
    """

    counts: Array
    confidence: Array
    accuracy: Array

    def expected_calibration_error(self) -> float:
        """Return the ECE, 0 to 1; nan if there are no pixels."""
        if not self.counts.sum():
            return float("nan")
        gaps = np.abs(np.nan_to_num(self.accuracy - self.confidence))
        return float((self.counts * gaps).sum() / self.counts.sum())


def reliability(probabilities: Array, truth: Array, bins: int = 10, ignore_index: int | None = 255) -> Reliability:
    """Return the bins of a reliability diagram.

    Parameters
    ----------
    probabilities : (…, classes)
    truth : (…) int
        Class indices of the same pixels.
    bins : int
    ignore_index : int or None
        Value of ignored pixels in ``truth``.

    Raises
    ------
    ValueError
        If the shapes differ, or there is no bin.
    """
    if probabilities.shape[:-1] != truth.shape:
        raise ValueError(f"reliability: probabilities {probabilities.shape} do not fit a truth of {truth.shape}")
    if bins < 1:
        raise ValueError(f"reliability: bins is {bins}; expected 1 or more")
    counted = np.ones(truth.shape, bool) if ignore_index is None else truth != ignore_index
    confidence = probabilities.max(axis=-1)[counted].astype(np.float64)
    right = (probabilities.argmax(axis=-1) == truth)[counted]
    places = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(places, minlength=bins)
    sums = (np.bincount(places, weights=values, minlength=bins) for values in (confidence, right))
    with np.errstate(invalid="ignore"):
        means = [values / counts for values in sums]
    return Reliability(counts, *means)
