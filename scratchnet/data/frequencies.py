"""Class frequencies, and class weights that balance them."""

from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.sample_source import SampleSource
from scratchnet.utils.options import option
from scratchnet.utils.shape_checks import check_mask


class ClassCounts:
    """Numbers of pixels and images of every class, accumulated mask by mask.

    Attributes
    ----------
    pixels : (classes,) int64
        Number of pixels of the class in all masks.
    images : (classes,) int64
        Number of masks in which the class occurs.
    pixels_of_images : (classes,) int64
        Number of pixels of those masks, including ignored ones.
    ignored : int
        Number of ignored pixels.
    """

    def __init__(self, classes: int, ignore_index: int | None = 255) -> None:
        self.ignore_index = ignore_index
        self.pixels = np.zeros(classes, np.int64)
        self.images = np.zeros(classes, np.int64)
        self.pixels_of_images = np.zeros(classes, np.int64)
        self.ignored = 0

    def add(self, mask: Array) -> None:
        """Count one (h, w) uint8 mask."""
        check_mask("ClassCounts.add", mask)
        histogram = np.bincount(mask.ravel(), minlength=256)
        if self.ignore_index is not None:
            self.ignored += int(histogram[self.ignore_index])
            histogram[self.ignore_index] = 0
        occurs = histogram[: len(self.pixels)] > 0
        self.pixels += histogram[: len(self.pixels)]
        self.images += occurs
        self.pixels_of_images += np.where(occurs, mask.size, 0)

    def why_untrainable(self, classes: Sequence[str]) -> str | None:
        """Return an error message if fewer than two classes occur in the masks, else None."""
        (found,) = np.nonzero(self.images)
        if len(found) > 1:
            return None
        shown = f"is '{classes[found[0]]}' (class {found[0]})" if len(found) else f"is ignored ({self.ignore_index})"
        return (
            f"every pixel of the masks {shown}, so there is nothing to learn; check {option('mask_format')}, "
            f"{option('mask_threshold')} and {option('ignore_index')}: they say how masks are read"
        )

    def frequencies(self) -> Array:
        """Return freq(c) = pixels of c / pixels of the images that contain c, (classes,); NaN where c never occurs."""
        occurs = self.images > 0
        shares: Array = np.full(len(self.pixels), np.nan)
        np.divide(self.pixels, self.pixels_of_images, out=shares, where=occurs)
        return shares

    def median_frequency_weights(self) -> Array:
        """Return median(freq) / freq(c), (classes,) float64; 0 for a class that never occurs."""
        frequencies = self.frequencies()
        occurs = self.images > 0
        weights = np.zeros(len(frequencies))
        if occurs.any():
            weights[occurs] = np.median(frequencies[occurs]) / frequencies[occurs]
        return weights


def softened_weights(weights: Sequence[float], power: float = 1.0, cap: float | None = None) -> tuple[float, ...]:
    """Return weight^power, at most ``cap``; a weight of 0 stays 0.

    Median-frequency weights of a class with 0.1 % of the pixels are in the hundreds: the network then marks far too
    many pixels as that class. Their square root is a usual compromise (Mikolov et al. 2013, "Distributed
    representations of words and phrases", soften frequencies in the same way).

    >>> softened_weights((0.25, 1, 400, 0), power=0.5, cap=10)
    (0.5, 1.0, 10.0, 0.0)
    """
    soft = [float(weight) ** power if weight > 0 else 0.0 for weight in weights]
    return tuple(value if cap is None else min(value, float(cap)) for value in soft)


def count_classes(dataset: SampleSource) -> ClassCounts:
    """Count the classes in all masks of a data set."""
    counts = ClassCounts(len(dataset.classes), dataset.ignore_index)
    for index in range(len(dataset)):
        counts.add(dataset.load(index)[1])
    return counts


def class_frequencies(dataset: SampleSource) -> Array:
    """Return the share of every class in the pixels of the images in which it occurs.

    Returns
    -------
    (classes,) float64
        NaN for a class that never occurs.
    """
    return count_classes(dataset).frequencies()


def median_frequency_weights(dataset: SampleSource) -> Array:
    """Return class weights that give rare and common classes the same influence on a loss.

    Median frequency balancing after Eigen and Fergus (2015, section 6.3.2), as used by SegNet (Badrinarayanan,
    Kendall and Cipolla, 2017, section 4.1): w_c = median(freq) / freq(c), with freq(c) the pixels of class c divided
    by the pixels of all images in which c occurs. Ignored pixels count as pixels of their image, as in the
    released CamVid weights.

    Returns
    -------
    (classes,) float64
        0 for a class that never occurs.
    """
    return count_classes(dataset).median_frequency_weights()
