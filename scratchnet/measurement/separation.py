"""The objects of a class mask: connected regions, split at their necks on request, without tiny ones."""

from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Objects, bounding_boxes, connected_components
from scratchnet.evaluation.sizes import MIN_OBJECT_PIXELS
from scratchnet.measurement.splitting import NECK, SMOOTHING, split_regions
from scratchnet.utils.shape_checks import check_mask


class Separation(NamedTuple):
    """Rules for the separation of objects.

    Attributes
    ----------
    split : bool
        Whether connected regions are split at their necks, see `split_regions`.
    neck, smoothing : float
        As in `split_regions`.
    min_area : int
        Objects with fewer pixels are dropped.
    exclude_border : bool
        Whether objects that touch the image's border are dropped.
    """

    split: bool = True
    neck: float = NECK
    smoothing: float = SMOOTHING
    min_area: int = MIN_OBJECT_PIXELS
    exclude_border: bool = False


class Separated(NamedTuple):
    """The objects of one mask.

    Attributes
    ----------
    objects : Objects
        Numbered 1, 2, … in reading order of their first pixels.
    small : int
        Number of objects dropped because they have fewer than ``min_area`` pixels.
    excluded : int
        Number of larger objects dropped because they touch the image's border.
    """

    objects: Objects
    small: int
    excluded: int


def separate_objects(
    mask: Array, separation: Separation | None = None, ignore_index: int | None = 255, background: int | None = 0
) -> Separated:
    """Separate the objects of a mask: the connected regions of each class; pixels that share an edge are connected.

    Parameters
    ----------
    mask : (h, w) uint8
        Class indices.
    separation : Separation or None
        None: the defaults, which need scikit-image.
    ignore_index : int or None
        Value of pixels that belong to no object.
    background : int or None
        Class that is not an object; None if every class is.

    Raises
    ------
    UserError
        If regions are to be split and scikit-image is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.array([[1, 1, 0, 2], [0, 0, 0, 2]], np.uint8)
    >>> separate_objects(mask, Separation(split=False, min_area=1)).objects.labels
    {1: 1, 2: 2}
    """
    check_mask("separate_objects", mask)
    rules = separation or Separation()
    inside = np.ones(mask.shape, bool)
    for value in (background, ignore_index):
        if value is not None:
            inside &= mask != value
    regions = connected_components(np.where(inside, mask.astype(np.int16) + 1, 0))
    if rules.split:
        regions = split_regions(regions, rules.neck, rules.smoothing)
    return _selected(mask, regions, rules)


def _selected(mask: Array, regions: Array, rules: Separation) -> Separated:
    """Return the regions that are objects, renumbered, with the class of each."""
    large = np.bincount(regions.ravel()) >= rules.min_area
    large[0] = False
    kept = large & ~_touching_border(regions, len(large)) if rules.exclude_border else large
    numbers: Array = np.where(kept, np.cumsum(kept), 0).astype(np.int32)[regions]
    boxes = bounding_boxes(numbers)
    labels = {n: int(mask[box.slices][numbers[box.slices] == n][0]) for n, box in boxes.items()}
    return Separated(Objects(numbers, labels, boxes), int((~large[1:]).sum()), int(large.sum() - kept.sum()))


def touches_border(objects: Objects, number: int) -> bool:
    """Return whether an object touches the border of its image."""
    top, left, height, width = objects.boxes[number]
    h, w = objects.instances.shape
    return top == 0 or left == 0 or top + height == h or left + width == w


def _touching_border(regions: Array, count: int) -> Array:
    """Return (count,) bool: whether each region has a pixel in the first or last row or column."""
    touching = np.zeros(count, bool)
    for edge in (regions[0], regions[-1], regions[:, 0], regions[:, -1]):
        touching[edge] = True
    return touching
