"""A look at a data set: what the plan of a training depends on."""

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
    """What the plan of a training depends on.

    Attributes
    ----------
    sizes : tuple of (h, w)
        Of the training images.
    validation_pixels : int
        Pixels of all validation images.
    classes : tuple of str
    shares : tuple of float
        Share of every class in the pixels of the training masks that are not ignored.
    weights : tuple of float
        Median-frequency weights of the classes; 0 for a class that does not occur.
    object_sides : tuple of float
        Typical size of the regions of every class: the median of √area in pixels; 0 if unknown.
    upright : bool
        Whether top and bottom differ throughout the set, as in photographs of streets.
    sided : bool
        Whether left and right differ throughout the set.
    uneven : float
        Standard deviation of the images' mean brightness, relative to that of the pixels inside an image.
    """

    sizes: tuple[tuple[int, int], ...]
    validation_pixels: int
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
    counts = ClassCounts(len(train.classes), train.ignore_index)
    read = set(_spread(len(train), MAX_IMAGES))
    measured = set(_spread(len(train), _COMPONENTS))
    sides: list[list[float]] = [[] for _ in train.classes]
    centres, halves, levels = list[Array](), list[Array](), list[tuple[float, float]]()
    load_mask = getattr(train, "load_mask", lambda index: train.load(index)[1])
    for index in progress(range(len(train))):
        if index in read:
            image, mask = train.load(index)
            grey = image.mean(axis=2)
            levels.append((float(grey.mean()), float(grey.std())))
            halves.append(_asymmetry(grey))
        else:
            mask = load_mask(index)
        counts.add(mask)
        centres.append(_centres(mask, len(train.classes)))
        if index in measured:
            _measure(mask, sides)
    upright, sided = _lopsided(np.array(centres)) | _lopsided(np.array(halves)[:, None])
    total = max(1, int(counts.pixels.sum()))
    return DataSummary(
        tuple(train.size(index) for index in range(len(train))),
        sum(h * w for h, w in (val.size(index) for index in range(len(val)))),
        train.classes,
        tuple(float(count / total) for count in counts.pixels),
        tuple(float(weight) for weight in counts.median_frequency_weights()),
        tuple(float(np.median(found)) if found else 0.0 for found in sides),
        bool(upright),
        bool(sided),
        _unevenness(levels),
    )


def _spread(length: int, count: int) -> list[int]:
    """Return at most ``count`` indices, spread evenly over ``length``."""
    return [int(index) for index in np.linspace(0, length - 1, min(length, count))]


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
