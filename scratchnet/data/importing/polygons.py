"""Rasterise polygons and discs: a pixel belongs to a shape if its centre is inside.

The pixel in row r and column c has its centre at x = c + ½, y = r + ½. A centre on a left or upper edge is inside, one
on a right or lower edge outside, so that polygons with a common edge neither overlap nor leave a gap.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.tiling import Window

FillRule: TypeAlias = Literal["even-odd", "nonzero"]
"""Points inside a polygon that crosses itself or has several rings: those with an odd number of edges to their left
(``even-odd``), or those that the rings surround a number of times other than zero (``nonzero``)."""

_BAND_PIXELS = 1 << 20
"""Pixels of the rows that are filled at a time, which bounds the memory."""


class Stamp(NamedTuple):
    """The pixels of a shape.

    Attributes
    ----------
    window : Window
        Part of the image around the shape; its height or width is 0 if the shape is outside the image.
    inside : (window.height, window.width) bool
    """

    window: Window
    inside: Array


def fill_polygon(rings: Sequence[Array], height: int, width: int, rule: FillRule = "even-odd") -> Stamp:
    """Return the pixels inside a polygon.

    Parameters
    ----------
    rings : sequence of (n, 2) float64
        Corners (x, y) in pixels; the last corner of a ring is connected to its first.
    height, width : int
        Size of the image.
    rule : {"even-odd", "nonzero"}
    """
    window = _window(np.concatenate([*rings, np.empty((0, 2))]), height, width)
    inside = np.zeros((window.height, window.width), bool)
    if not inside.size:
        return Stamp(window, inside)
    starts = np.concatenate(rings) - (window.left, window.top)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings]) - (window.left, window.top)
    rows = max(1, _BAND_PIXELS // window.width)
    for top in range(0, window.height, rows):
        band = inside[top : top + rows]
        turns = np.zeros((len(band), window.width + 1), np.int32)
        for start, end in zip(starts, ends, strict=True):
            _add_crossings(turns, start, end, top)
        np.cumsum(turns, axis=1, out=turns)
        band[:] = turns[:, :-1] & 1 if rule == "even-odd" else turns[:, :-1] != 0
    return Stamp(window, inside)


def fill_disc(centre: Array, radius: float, height: int, width: int) -> Stamp:
    """Return the pixels whose centres are at most ``radius`` from ``centre`` (x, y)."""
    window = _window(np.array([centre - radius, centre + radius]), height, width)
    x = np.arange(window.width) + (window.left + 0.5 - centre[0])
    y = np.arange(window.height) + (window.top + 0.5 - centre[1])
    inside = np.zeros((window.height, window.width), bool)
    for row in range(window.height):
        inside[row] = x * x + y[row] * y[row] <= radius * radius
    return Stamp(window, inside)


def fill_ellipse(centre: Array, radii: Array, angle: float, height: int, width: int) -> Stamp:
    """Return the pixels whose centres are inside an ellipse around ``centre`` (x, y).

    Parameters
    ----------
    centre, radii : (2,) float64
        In x and y; the axes are then turned clockwise, with y downwards, by ``angle`` degrees.
    """
    reach = float(max(radii))
    window = _window(np.array([centre - reach, centre + reach]), height, width)
    x = np.arange(window.width) + (window.left + 0.5 - centre[0])
    y = np.arange(window.height) + (window.top + 0.5 - centre[1])
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    inside = np.zeros((window.height, window.width), bool)
    for row in range(window.height):  # bounded memory
        along, across = x * cos + y[row] * sin, y[row] * cos - x * sin
        inside[row] = (along * radii[1]) ** 2 + (across * radii[0]) ** 2 <= (radii[0] * radii[1]) ** 2
    return Stamp(window, inside)


def _window(points: Array, height: int, width: int) -> Window:
    """Return the part of the image that contains all pixels around the points."""
    if not len(points):
        return Window(0, 0, 0, 0)
    left, top = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(points.max(axis=0)), 0, (width, height)).astype(int)
    return Window(int(top), int(left), int(max(bottom - top, 0)), int(max(right - left, 0)))


def _add_crossings(turns: Array, start: Array, end: Array, top: int) -> None:
    """Add the direction of an edge, 1 down or -1 up, to the first pixel right of it in every row of a band.

    ``turns`` (rows, width + 1) has one more column for the edges right of the window.
    """
    direction = 1 if start[1] < end[1] else -1
    (x0, y0), (x1, y1) = (start, end) if direction == 1 else (end, start)
    first, last = (max(0, min(len(turns), int(np.ceil(y - 0.5)) - top)) for y in (y0, y1))
    if first >= last:
        return
    rows = np.arange(first, last)
    x = x0 + (rows + (top + 0.5) - y0) * (x1 - x0) / (y1 - y0)
    columns = np.clip(np.ceil(x - 0.5), 0, turns.shape[1] - 1).astype(np.intp)
    turns[rows, columns] += direction
