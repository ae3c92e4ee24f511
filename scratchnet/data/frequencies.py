"""How often classes occur, and the weights that even it out."""

from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.sample_source import SampleSource
from scratchnet.utils.options import option
from scratchnet.utils.shape_checks import check_mask


class ClassCounts:
    """Pixels and images of every class, counted mask by mask.

    Attributes
    ----------
    pixels : (classes,) int64
        Pixels of a class in all masks.
    images : (classes,) int64
        Masks in which the class occurs.
    pixels_of_images : (classes,) int64
        All pixels of those masks, ignored ones too.
    ignored : int
        Pixels that do not count.
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
        """Return why nothing can be learned from these masks, if that is so: a network tells classes apart."""
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


def count_classes(dataset: SampleSource) -> ClassCounts:
    """Read every mask of a set and count its classes."""
    counts = ClassCounts(len(dataset.classes), dataset.ignore_index)
    for index in range(len(dataset)):
        counts.add(dataset.load(index)[1])
    return counts


def class_frequencies(dataset: SampleSource) -> Array:
    """Return each class's share of the pixels of those images in which it occurs.

    Returns
    -------
    (classes,) float64
        NaN for a class that never occurs.
    """
    return count_classes(dataset).frequencies()


def median_frequency_weights(dataset: SampleSource) -> Array:
    """Return class weights that make rare classes count as much as common ones in a loss.

    Median frequency balancing after Eigen and Fergus (2015, section 6.3.2), as used by SegNet (Badrinarayanan,
    Kendall and Cipolla, 2017, section 4.1): w_c = median(freq) / freq(c), with freq(c) the pixels of class c divided
    by the pixels of all images in which c occurs; ignored pixels are pixels of their image, as in the released
    CamVid weights, but have no weight of their own.

    Returns
    -------
    (classes,) float64
        0 for a class that never occurs: there is nothing to balance.
    """
    return count_classes(dataset).median_frequency_weights()
