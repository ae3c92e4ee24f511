"""Object proposals without a file: boxes that may contain an object, from a grid or a segmentation by colour."""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Window, bounding_boxes, resize_image
from scratchnet.data.objects.box_sampling import enlarged, pairwise_iou
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import for_caller

Proposals: TypeAlias = Callable[[str, Array], Sequence[Window]]
"""Function (name of an image, its pixels (h, w, 3) uint8) → boxes, the most promising first."""

_FINER = 2**-0.5
"""Ratio of the sides of the boxes in successive levels of a grid: each level has half the area."""

_REGIONS = (100, 300, 1000)
"""Scales of Felzenszwalb's method: larger ones give larger regions."""
_MAX_SIDE = 400
"""Images are shrunk to at most this many pixels along a side before they are segmented by colour."""
_CONTEXT = 1.2
"""Factor on the height and width of boxes around regions (Noh et al. 2015, section 6.1)."""
_MIN_SIDE = 1 / 16
"""Boxes around regions are dropped if their shorter side is a smaller fraction of the image's shorter side."""
_MAX_IOU = 0.75
"""A box is dropped if its intersection over union with an earlier one is larger."""


def proposals_from_grid(limit: int) -> Proposals:
    """Return proposals on a grid, in several sizes; see `grid_boxes`."""
    return lambda name, image: grid_boxes(image.shape[0], image.shape[1], limit)


def grid_boxes(h: int, w: int, limit: int) -> list[Window]:
    """Return the whole image, then smaller and smaller squares that cover it.

    The largest squares have the image's shorter side, and every further level has half the area. Neighbours overlap by
    at least half, so an object smaller than half a box is inside one. The number of levels is the largest for which
    there are at most ``limit`` boxes.
    """
    boxes = [Window(0, 0, h, w)]
    side = float(min(h, w))
    while side >= 2:
        s = round(side)
        level = [Window(top, left, s, s) for top in _places(h, s) for left in _places(w, s)]
        if len(boxes) + len(level) > limit + (h == w == s):
            break
        boxes += [box for box in level if box not in boxes]
        side *= _FINER
    return boxes


def proposals_from_segments(limit: int) -> Proposals:
    """Return proposals around regions of similar colour; see `segment_boxes`.

    Raises
    ------
    UserError
        If scikit-image is not installed.
    """
    try:
        import skimage.segmentation  # noqa: F401
    except ImportError as error:
        segments = for_caller("--proposals segments", "proposals_from_segments")
        grid = for_caller("--proposals grid", "proposals_from_grid")
        raise UserError(
            f"{segments} needs scikit-image, which is not installed; pip install scikit-image, or use {grid}"
        ) from error
    return lambda name, image: segment_boxes(image, limit)


def segment_boxes(image: Array, limit: int) -> list[Window]:
    """Return the whole image, then boxes around regions of similar colour, from large to small.

    Regions are those of Felzenszwalb and Huttenlocher, "Efficient graph-based image segmentation" (2004), at three
    scales. Of nearly equal boxes only one is kept. If there are more than ``limit``, they are thinned out
    evenly over the sizes.
    """
    from skimage.segmentation import felzenszwalb

    h, w = image.shape[:2]
    shrink = min(1.0, _MAX_SIDE / max(h, w))
    small = resize_image(image, (max(1, round(h * shrink)), max(1, round(w * shrink))))
    found = [Window(0, 0, h, w)]
    for scale in reversed(_REGIONS):
        regions = felzenszwalb(small, scale=scale, sigma=0.8, min_size=max(20, small[..., 0].size // 2000))
        for box in _round_regions(regions, h, w):
            long_enough = min(box.height, box.width) >= _MIN_SIDE * min(h, w)
            if long_enough and pairwise_iou([box], found).max() <= _MAX_IOU:
                found.append(box)
    others = sorted(found[1:], key=lambda box: (-box.height * box.width, box))
    if len(others) > limit - 1:
        others = [others[i] for i in np.linspace(0, len(others) - 1, limit - 1).round().astype(int)]
    return found[:1] + others


def _places(length: int, side: int) -> list[int]:
    """Return the start positions of boxes that cover a length evenly and overlap by at least half."""
    count = 1 + math.ceil((length - side) / (side / 2))
    places: list[int] = np.linspace(0, length - side, count).round().astype(int).tolist()
    return places


def _round_regions(regions: Array, h: int, w: int) -> list[Window]:
    """Return boxes around the labelled regions of a shrunk image, with context, for the image of ``h × w`` pixels."""
    down, across = h / regions.shape[0], w / regions.shape[1]
    found = []
    for top, left, height, width in bounding_boxes(regions + 1).values():
        box = enlarged(
            Window(round(top * down), round(left * across), round(height * down), round(width * across)), _CONTEXT
        )
        rows, columns = visible_part(box, h, w)
        found.append(Window(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start))
    return found


def visible_part(box: Window, h: int, w: int) -> tuple[slice, slice]:
    """Return the rows and columns of a box that are inside an image of ``h × w`` pixels."""
    return (
        slice(max(box.top, 0), min(box.top + box.height, h)),
        slice(max(box.left, 0), min(box.left + box.width, w)),
    )
