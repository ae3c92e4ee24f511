"""A look at a data set: properties on which the plan of a training depends."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import SampleSource
from scratchnet.data.frequencies import ClassCounts
from scratchnet.data.objects.components import connected_components

MAX_IMAGES = 24
"""Images whose pixels are read; of the others only the sizes and the masks."""
_COMPONENTS = 12
"""Masks in which connected regions are measured."""


@dataclass(frozen=True)
class DataSummary:
    """Properties of a data set on which the plan of a training depends.

    Attributes
    ----------
    sizes : tuple of (h, w)
        Of the training images.
    validation_sizes : tuple of (h, w)
        Of the validation images.
    classes : tuple of str
    shares : tuple of float
        Share of every class in the pixels of the training masks that are not ignored.
    weights : tuple of float
        Median-frequency weights of the classes; 0 for a class that does not occur.
    object_sides : tuple of float
        Typical size of the regions of every class: √area in pixels of the region in which the median pixel of the class
        is; 0 if unknown.
    upright : bool
        Whether top and bottom differ throughout the set, as in photographs of streets.
    sided : bool
        Whether left and right differ throughout the set.
    uneven : float
        Standard deviation of the images' mean brightness, relative to that of the pixels inside an image.
    """

    sizes: tuple[tuple[int, int], ...]
    validation_sizes: tuple[tuple[int, int], ...]
    classes: tuple[str, ...]
    shares: tuple[float, ...]
    weights: tuple[float, ...] = ()
    object_sides: tuple[float, ...] = ()
    upright: bool = False
    sided: bool = False
    uneven: float = 0.0


def look(
    train: SampleSource, val: SampleSource, progress: Callable[[Sequence[int]], Iterable[int]] = iter
) -> DataSummary:
    """Read all masks and some images of a data set.

    Parameters
    ----------
    train, val : SampleSource
    progress : callable
        Wraps the sequence of indices, to show a progress bar.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    seen = _Observations(train)
    images, measured = _spread(len(train), MAX_IMAGES), _spread(len(train), _COMPONENTS)
    load_mask = getattr(train, "load_mask", lambda index: train.load(index)[1])
    for index in progress(range(len(train))):
        if index in images:
            image, mask = train.load(index)
            seen.add_image(image)
        else:
            mask = load_mask(index)
        seen.add_mask(mask, index in measured)
    return seen.summary(_sizes(train), _sizes(val))


def _sizes(source: SampleSource) -> tuple[tuple[int, int], ...]:
    return tuple(source.size(index) for index in range(len(source)))


class _Observations:
    """Sums over the images and masks that have been read."""

    def __init__(self, source: SampleSource) -> None:
        self.classes = source.classes
        self.counts = ClassCounts(len(source.classes), source.ignore_index)
        self.sides: list[list[float]] = [[] for _ in source.classes]
        self.centres, self.halves = list[Array](), list[Array]()
        self.levels: list[tuple[float, float]] = []

    def add_image(self, image: Array) -> None:
        """Include an image (h, w, 3)."""
        grey = image.mean(axis=2)
        self.levels.append((float(grey.mean()), float(grey.std())))
        self.halves.append(_asymmetry(grey))

    def add_mask(self, mask: Array, measured: bool) -> None:
        """Include a mask (h, w), and the sizes of its regions if ``measured``."""
        self.counts.add(mask)
        self.centres.append(_centres(mask, len(self.classes)))
        if measured:
            _measure(mask, self.sides)

    def summary(self, sizes: tuple[tuple[int, int], ...], validation_sizes: tuple[tuple[int, int], ...]) -> DataSummary:
        """Return the summary."""
        upright, sided = _lopsided(np.array(self.centres)) | _lopsided(np.array(self.halves)[:, None])
        pixels = self.counts.pixels
        return DataSummary(
            sizes,
            validation_sizes,
            self.classes,
            tuple(float(count / max(1, int(pixels.sum()))) for count in pixels),
            tuple(float(weight) for weight in self.counts.median_frequency_weights()),
            tuple(_typical(found) for found in self.sides),
            bool(upright),
            bool(sided),
            _unevenness(self.levels),
        )


def _spread(length: int, count: int) -> set[int]:
    """Return at most ``count`` indices, spread evenly over ``length``."""
    return {int(index) for index in np.linspace(0, length - 1, min(length, count))}


def _typical(sides: Sequence[float]) -> float:
    """Return the side of the region in which the median pixel is: specks of a few pixels do not count."""
    if not sides:
        return 0.0
    ordered = np.sort(sides)
    share = np.cumsum(ordered**2) / (ordered**2).sum()
    return float(ordered[int(np.searchsorted(share, 0.5))])


def _measure(mask: Array, sides: list[list[float]]) -> None:
    """Add √area of every connected region to the list of its class."""
    regions = connected_components(mask)
    areas = np.bincount(regions.ravel())
    _, first = np.unique(regions.ravel(), return_index=True)
    for region, place in zip(np.unique(regions), first, strict=True):
        label = int(mask.ravel()[place])
        if region and label < len(sides):
            sides[label].append(float(areas[region]) ** 0.5)


def _centres(mask: Array, classes: int) -> Array:
    """Return the centre of every class relative to the middle, (classes, 2) from −1 to 1; nan if it does not occur."""
    h, w = mask.shape
    found = np.full((classes, 2), np.nan)
    for label in range(classes):
        inside = mask == label
        total = inside.sum()
        if total:
            rows, columns = inside.sum(axis=1), inside.sum(axis=0)
            found[label] = (rows @ np.linspace(-1, 1, h)) / total, (columns @ np.linspace(-1, 1, w)) / total
    return found


def _asymmetry(grey: Array) -> Array:
    """Return the brightness of the lower and of the right half relative to the other one, in deviations, (2,)."""
    (h, w), deviation = grey.shape, max(float(grey.std()), 1.0)
    down = grey[h // 2 :].mean() - grey[: max(1, h // 2)].mean()
    right = grey[:, w // 2 :].mean() - grey[:, : max(1, w // 2)].mean()
    return np.array([down, right]) / deviation


def _lopsided(values: Array) -> Array:
    """Return for both axes whether any of the values (images, things, 2) is on one side in nearly all images."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0)
    means = filled.sum(axis=0) / np.maximum(count, 1)
    spread = np.sqrt((np.where(known, values - means, 0) ** 2).sum(axis=0) / np.maximum(count - 1, 1))
    error = spread / np.sqrt(np.maximum(count, 1))
    result: Array = ((count >= 8) & (np.abs(means) > np.maximum(4 * error, 0.25))).any(axis=0)
    return result


def _unevenness(levels: Sequence[tuple[float, float]]) -> float:
    """Return the deviation of the images' means relative to the mean deviation inside an image."""
    means, deviations = np.array(levels).T
    return float(means.std() / max(1.0, deviations.mean()))
