"""Uncertainty of a prediction: the mean and the spread of several random passes.

N passes over an image differ at random (:mod:`scratchnet.inference.sampling`), and give the probabilities p₁ … p_N of
the classes at every pixel. With p̄ their mean and H(p) = −Σ p ln p the entropy over the classes:

    predictive entropy     H(p̄)                 how unsure the prediction is, for whatever reason
    expected entropy       mean of H(pₙ)         how unsure each pass is: on a border, every pass hesitates
    mutual information     H(p̄) − mean of H(pₙ)  how much the passes disagree, although each may be sure
    variance               mean of (pₙ − p̄)²     the same, for each class; at most ¼

Entropies are in nats: 0 for a certain class, ln C for C equally probable ones. The mutual information is that between
the label and the weights, which an additional label can reduce; the expected entropy stays. Sums are updated pass by
pass (Welford 1962), so the memory does not depend on N.

Kendall, Badrinarayanan, Cipolla, "Bayesian SegNet" (2015), section 3; Gal, Ghahramani, "Dropout as a Bayesian
approximation" (2016), section 4; Houlsby et al., "Bayesian active learning for classification and preference learning"
(2011), section 2 (mutual information: BALD).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scratchnet.arrays import Array
from scratchnet.utils.shape_checks import check_image, check_images

MIN_SAMPLES, MAX_SAMPLES = 2, 1000
"""Allowed numbers of passes; one has no spread."""


class Sampling(Protocol):
    """A way to predict an image at random."""

    def sample(self, image: Array, number: int, name: str = "") -> Array:
        """Return the probabilities (h, w, classes) float32 of pass ``number`` over an image (h, w, 3) uint8."""

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError if this image cannot be segmented, before any work is done."""

    def words(self, samples: int) -> str:
        """Return what varies in the passes, and why it does, for the user."""


@dataclass(frozen=True)
class UncertaintyMaps:
    """Maps of several passes over one image.

    Attributes
    ----------
    mean : (h, w, classes) float32
        The mean of the probabilities, which is the prediction.
    variance : (h, w, classes) float32
        The variance of each probability over the passes, 0 to ¼.
    entropy : (h, w) float32
        The entropy of the mean, in nats.
    mutual_information : (h, w) float32
        The entropy of the mean less the mean of the entropies, in nats.
    """

    mean: Array
    variance: Array
    entropy: Array
    mutual_information: Array

    def deviation(self) -> Array:
        """Return the standard deviation (h, w) of the probability of the most probable class, 0 to ½."""
        best = self.mean.argmax(axis=-1)[..., None]
        found: Array = np.sqrt(np.take_along_axis(self.variance, best, axis=-1)[..., 0])
        return found


class RunningMaps:
    """The maps of the passes so far.

    Parameters
    ----------
    h, w, classes : int
    """

    def __init__(self, h: int, w: int, classes: int) -> None:
        self._count = 0
        self._mean = np.zeros((h, w, classes), np.float32)
        self._squares = np.zeros((h, w, classes), np.float32)  # sums of squared distances from the mean
        self._entropies = np.zeros((h, w), np.float32)

    def add(self, probabilities: Array) -> None:
        """Add the probabilities (h, w, classes) of one pass."""
        self._count += 1
        before = probabilities - self._mean
        self._mean += before / np.float32(self._count)
        self._squares += before * (probabilities - self._mean)
        self._entropies += entropy(probabilities)

    def result(self) -> UncertaintyMaps:
        """Return the maps.

        Raises
        ------
        ValueError
            If there was no pass.
        """
        if not self._count:
            raise ValueError("RunningMaps: no pass was added; add at least one")
        count, total = np.float32(self._count), entropy(self._mean)
        disagreement = np.maximum(total - self._entropies / count, np.float32(0))  # rounding may make it negative
        return UncertaintyMaps(self._mean.copy(), self._squares / count, total, disagreement)


@dataclass(frozen=True)
class SampledPredictor:
    """The mean of several random passes, with their spread.

    Attributes
    ----------
    sampling : Sampling
    samples : int
        Number of passes, 2 to 1000. The time grows with it, the memory does not.

    Raises
    ------
    ValueError
        If the number of passes is out of range.
    """

    sampling: Sampling
    samples: int

    def __post_init__(self) -> None:
        if not MIN_SAMPLES <= self.samples <= MAX_SAMPLES:
            raise ValueError(
                f"SampledPredictor: samples is {self.samples}; expected {MIN_SAMPLES} to {MAX_SAMPLES} passes"
            )

    def maps(self, image: Array, name: str = "") -> UncertaintyMaps:
        """Return the maps of an image (h, w, 3) uint8; the same image gives the same maps."""
        check_image("SampledPredictor.maps", image)
        running: RunningMaps | None = None
        for number in range(self.samples):
            found = self.sampling.sample(image, number, name)
            running = running or RunningMaps(*found.shape)
            running.add(found)
        assert running is not None
        return running.result()

    def probabilities(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the means (n, h, w, classes) float32 of images (n, h, w, 3) uint8."""
        check_images("SampledPredictor", images)
        known = list(names) or [""] * len(images)
        return np.stack([self.maps(image, name).mean for image, name in zip(images, known, strict=True)])

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError if the image cannot be segmented."""
        self.sampling.check(image, name)


def entropy(probabilities: Array) -> Array:
    """Return −Σ p ln p over the last axis, in nats; a probability of 0 adds 0.

    >>> bool(abs(entropy(np.array([0.5, 0.5])) - np.log(2)) < 1e-12)
    True
    """
    tiny = np.finfo(probabilities.dtype).tiny
    total: Array = -(probabilities * np.log(np.maximum(probabilities, tiny))).sum(axis=-1)
    return total
