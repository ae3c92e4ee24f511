"""Object proposals without a file: boxes in which there may be an object, from a grid or a segmentation by colour."""

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
"""(name of an image, its pixels (h, w, 3) uint8) → boxes, the most promising first."""

_FINER = 2**-0.5
"""Each level of a grid has boxes of this share of the sides of the one before: half the area."""

_REGIONS = (100, 300, 1000)
"""Felzenszwalb's scales: larger ones give larger regions."""
_LOOKED_AT = 400
"""Segmentation sees the image with at most this many pixels along a side."""
_CONTEXT = 1.2
"""Boxes round regions are made this much longer and wider (Noh et al. 2015, section 6.1, do so)."""
_SHORTEST = 1 / 16
"""Boxes round regions whose shorter side is a smaller share of the image's are left out."""
_ALIKE = 0.75
"""Of two boxes with a larger intersection over union, one is enough."""


def proposals_from_grid(limit: int) -> Proposals:
    """Return a grid of boxes in several sizes, see `grid_boxes`."""
    return lambda name, image: grid_boxes(image.shape[0], image.shape[1], limit)


def grid_boxes(h: int, w: int, limit: int) -> list[Window]:
    """Return the whole image, then ever smaller squares that cover it.

    The largest squares are as high as the image's shorter side, and every further level has half the area. Neighbours
    overlap by half at least, so that an object smaller than half a box lies in one. There are as many whole levels as
    ``limit`` boxes allow.
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
    """Return boxes round regions of like colour, see `segment_boxes`.

    Raises
    ------
    UserError
        When scikit-image is not installed.
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
    """Return the whole image, then boxes round regions of like colour, from large to small.

    Regions are those of Felzenszwalb and Huttenlocher, "Efficient graph-based image segmentation" (2004), at three
    scales. Boxes that nearly agree are kept once; of too many, every size keeps its share.
    """
    from skimage.segmentation import felzenszwalb

    h, w = image.shape[:2]
    shrink = min(1.0, _LOOKED_AT / max(h, w))
    small = resize_image(image, (max(1, round(h * shrink)), max(1, round(w * shrink))))
    found = [Window(0, 0, h, w)]
    for scale in reversed(_REGIONS):
        regions = felzenszwalb(small, scale=scale, sigma=0.8, min_size=max(20, small[..., 0].size // 2000))
        for box in _round_regions(regions, h, w):
            long_enough = min(box.height, box.width) >= _SHORTEST * min(h, w)
            if long_enough and pairwise_iou([box], found).max() <= _ALIKE:
                found.append(box)
    others = sorted(found[1:], key=lambda box: (-box.height * box.width, box))
    if len(others) > limit - 1:
        others = [others[i] for i in np.linspace(0, len(others) - 1, limit - 1).round().astype(int)]
    return found[:1] + others


def _places(length: int, side: int) -> list[int]:
    """Return where boxes begin that cover a length evenly and overlap by half at least."""
    count = 1 + math.ceil((length - side) / (side / 2))
    places: list[int] = np.linspace(0, length - side, count).round().astype(int).tolist()
    return places


def _round_regions(regions: Array, h: int, w: int) -> list[Window]:
    """Return boxes round the numbered regions of a shrunk image, with some context, in an image of ``h × w`` pixels."""
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
    """Return the rows and columns of an image of ``h × w`` pixels that lie in a box."""
    return (
        slice(max(box.top, 0), min(box.top + box.height, h)),
        slice(max(box.left, 0), min(box.left + box.width, w)),
    )
