"""Suggestions of images to label next: the network is unsure about them, and they differ from each other.

The score of an image is the mean of its mutual information over the pixels
(:mod:`scratchnet.inference.uncertainty`): how much the passes disagree, which a label can settle. The entropy would
also count outlines and noise, where every pass hesitates and a label teaches little (Houlsby et al. 2011; Gal, Islam,
Ghahramani, "Deep Bayesian active learning with image data" 2017).

The most uncertain images are often nearly the same picture. So they are chosen one by one: the next one has the largest

    score · (1 − s⁴)

where s is its largest similarity to an image chosen before, 0 to 1. The fourth power spares images that are merely
alike (0.7 leaves 76 % of the score), and rejects copies (0.98 leaves 8 %). The similarity is the intersection of two
colour histograms (Swain, Ballard, "Color indexing" 1991, section 2.2), which is the same if an image is flipped.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.utils.shape_checks import check_image

BINS = 8
"""Intervals per colour channel of a histogram."""

POWER = 4
"""Exponent of the similarity."""


class Suggestion(NamedTuple):
    """An image to label: its place in the given order, and its largest similarity to those suggested before it."""

    place: int
    similarity: float


def colour_histogram(image: Array) -> Array:
    """Return the fractions (512,) float64 of the pixels in 8×8×8 cells of colours, for an image (h, w, 3) uint8."""
    check_image("colour_histogram", image)
    cells = image // (256 // BINS)
    numbers = (cells[..., 0].astype(np.int64) * BINS + cells[..., 1]) * BINS + cells[..., 2]
    shares: Array = np.bincount(numbers.ravel(), minlength=BINS**3) / numbers.size
    return shares


def suggest(scores: Sequence[float] | Array, histograms: Sequence[Array], count: int) -> list[Suggestion]:
    """Return the images to label next, the most useful first.

    Parameters
    ----------
    scores : sequence of float
        Mean mutual information of each image, 0 or more.
    histograms : sequence of (512,)
        The colours of each image, see `colour_histogram`.
    count : int
        Number of images to suggest; if there are fewer, all of them are ranked.
    """
    remaining, similar = list(range(len(scores))), np.zeros(len(scores))
    found: list[Suggestion] = []
    while remaining and len(found) < count:
        best = max(remaining, key=lambda i: (scores[i] * (1 - similar[i] ** POWER), -i))
        found.append(Suggestion(best, float(similar[best])))
        remaining.remove(best)
        for i in remaining:
            similar[i] = max(similar[i], min(1.0, float(np.minimum(histograms[i], histograms[best]).sum())))
    return found
