"""Draw a wrong array beside the right one, with the wrong entries marked."""

from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.comparison import agreement
from scratchnet.exercises.verdict import Picture
from scratchnet.utils.files import atomic_write

MAX_SIDE = 12
"""Rows and columns that are drawn; a larger array is cut around its first wrong entry."""


def draw_difference(picture: Picture, path: Path, tolerance: float) -> str:
    """Write a PNG with the found and the expected map; return words for the slice that it shows."""
    from scratchnet.visualization import draw_matrix, panels

    wrong = ~agreement(picture.found, picture.expected, tolerance)
    index, axes = _first_wrong_map(wrong)
    rows, columns = (_around(wrong[index], axis) for axis in (0, 1))
    found, expected, marks = (_cut(array[index], rows, columns) for array in (picture.found, picture.expected, wrong))
    marked = [(row, column) for row, column in np.argwhere(marks).tolist()]
    height = 1.1 + 0.45 * found.shape[0]
    figure, (left, right) = panels(max(4.0, 1 + 0.9 * found.shape[1]), height, columns=2)
    draw_matrix(left, found.astype(float), "gradient", "yours", marked=marked)
    draw_matrix(right, expected.astype(float), "output", "expected", marked=marked)
    with atomic_write(path, "picture") as file:
        figure.savefig(file, format="png", dpi=130, metadata={"Description": "written by scratchnet: picture"})
    return axes


def _first_wrong_map(wrong: Array) -> tuple[tuple[Any, ...], str]:
    """Return the index of a map (two axes) that holds a wrong entry, and words for it.

    The axes of the map are the second and the third of images (n, h, w, c), and the first two of three axes.
    """
    if wrong.ndim == 2:
        return (), ""
    first = [int(i) for i in np.argwhere(wrong)[0]]
    rows = 0 if wrong.ndim == 3 else 1
    index = (*first[:rows], slice(None), slice(None), *first[rows + 2 :])
    return index, f"[{', '.join(':' if isinstance(i, slice) else str(i) for i in index)}]"


def _around(wrong: Array, axis: int) -> slice:
    length, at = wrong.shape[axis], int(np.argwhere(wrong)[0][axis])
    begin = min(max(0, at - MAX_SIDE // 2), max(0, length - MAX_SIDE))
    return slice(begin, begin + MAX_SIDE)


def _cut(array: Array, rows: slice, columns: slice) -> Array:
    part: Array = array[rows, columns]
    return part
