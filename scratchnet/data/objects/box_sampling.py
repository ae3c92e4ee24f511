"""Candidate boxes of objects: a grid at several scales, and random variations of objects' boxes.

Boxes may extend beyond the image; :func:`cut_out` fills the pixels outside.
"""

from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.tiling import Window

SCALES = (1.0, 0.5, 0.25)
"""Sides of the boxes of the grid, as fractions of the sides of the image."""
SHAPES = ((1.0, 1.0), (1.0, 0.5), (0.5, 1.0))
"""Factors on height and width: boxes with the aspect ratio of the image, tall and wide ones."""

_SHIFT, _STRETCH = 0.2, 0.5
"""Maximum shift as a fraction of a box's side, and maximum change of a side as a power of two."""


def grid_windows(height: int, width: int) -> list[Window]:
    """Return a grid of boxes of several sizes and aspect ratios that overlap by about half, the whole image first."""
    windows: list[Window] = []
    for scale in SCALES:
        for tall, wide in SHAPES:
            h, w = max(1, round(height * scale * tall)), max(1, round(width * scale * wide))
            windows += [Window(top, left, h, w) for top in _starts(height, h) for left in _starts(width, w)]
    return list(dict.fromkeys(windows))


def _starts(length: int, side: int) -> list[int]:
    """Return evenly spaced starts of boxes along an axis, about half a side apart."""
    count = 1 + int(np.ceil((length - side) / max(1, side / 2)))
    starts: list[int] = np.rint(np.linspace(0, length - side, count)).astype(int).tolist()
    return starts


def jittered(box: Window, count: int, rng: np.random.Generator) -> list[Window]:
    """Return ``count`` random variations of a box: sides up to √2 times longer or shorter, the centre shifted."""
    top, left, height, width = box
    sides = np.array([height, width]) * 2.0 ** rng.uniform(-_STRETCH, _STRETCH, (count, 2))
    centres = np.array([top + height / 2, left + width / 2]) + rng.uniform(-_SHIFT, _SHIFT, (count, 2)) * (
        height,
        width,
    )
    first = np.rint(centres - sides / 2).astype(int)
    last = np.maximum(np.rint(centres + sides / 2).astype(int), first + 1)
    return [Window(*row) for row in np.concatenate([first, last - first], axis=1).tolist()]


def enlarged(box: Window, factor: float) -> Window:
    """Return a box with ``factor`` times the sides and, up to rounding, the same centre."""
    top, left, height, width = box
    h, w = max(1, round(height * factor)), max(1, round(width * factor))
    return Window(top - (h - height) // 2, left - (w - width) // 2, h, w)


def pairwise_iou(boxes: Sequence[Window], others: Sequence[Window]) -> Array:
    """Return the intersection over union of all pairs, (boxes, others) float64."""
    a, b = (np.array(windows, dtype=np.int64).reshape(-1, 4) for windows in (boxes, others))
    ends_a, ends_b = a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:]
    shared = np.minimum(ends_a[:, None], ends_b[None]) - np.maximum(a[:, None, :2], b[None, :, :2])
    intersection = np.maximum(shared, 0).prod(axis=2)
    union = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1)[None] - intersection
    quotient: Array = intersection / union
    return quotient


def cut_out(array: Array, window: Window, fill: int) -> Array:
    """Crop a window of an image (h, w, …), filled with ``fill`` outside the image."""
    top, left, height, width = window
    result = np.full((height, width, *array.shape[2:]), fill, array.dtype)
    rows = slice(max(top, 0), min(top + height, array.shape[0]))
    columns = slice(max(left, 0), min(left + width, array.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        inside = array[rows, columns]
        result[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = inside
    return result
