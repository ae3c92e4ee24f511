"""Calibration: whether a network that says 80 % is right in 80 % of the pixels.

Pixels are grouped into bins by their confidence, the probability of the predicted class. In a calibrated network the
mean confidence of each bin is its accuracy. The expected calibration error is the mean distance between the two,
weighted by the pixels:

    ECE = Σ over the bins of (pixels in the bin / all pixels) · |accuracy − confidence|

Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks" (2017), section 2.
"""

from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array, to_host

BINS = 15
"""Number of bins of the expected calibration error in the paper."""


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


class ReliabilityCounter:
    """Adds the pixels of several images to the bins of one reliability diagram.

    Parameters
    ----------
    bins : int
        Number of bins, at least 1.
    """

    def __init__(self, bins: int = BINS) -> None:
        self.bins = bins
        self._counts = np.zeros(bins, np.int64)
        self._sums = np.zeros((2, bins))

    def add(self, confidence: Array, right: Array) -> None:
        """Add pixels (n): the probability of the predicted class, and whether the prediction is right."""
        confidence, right = to_host(confidence).astype(np.float64), to_host(right)
        places = np.minimum((confidence * self.bins).astype(np.int64), self.bins - 1)
        self._counts += np.bincount(places, minlength=self.bins)
        for row, values in enumerate((confidence, right)):
            self._sums[row] += np.bincount(places, weights=values, minlength=self.bins)

    def result(self) -> Reliability:
        """Return the bins of all pixels that have been added."""
        with np.errstate(invalid="ignore"):
            return Reliability(self._counts.copy(), *(self._sums / self._counts))


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
    counter = ReliabilityCounter(bins)
    counter.add(probabilities.max(axis=-1)[counted], (probabilities.argmax(axis=-1) == truth)[counted])
    return counter.result()
