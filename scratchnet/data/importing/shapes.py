"""Shapes of labelling tools: polygons, ellipses and masks, drawn to the pixel."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.importing.packed_brush import decode_brush
from scratchnet.data.importing.polygons import FillRule, Stamp, fill_disc, fill_ellipse, fill_polygon
from scratchnet.data.importing.run_lengths import decode_runs
from scratchnet.data.tiling import Window
from scratchnet.utils.errors import UserError


class Shape(Protocol):
    """A part of the plane that can be drawn."""

    def draw(self, height: int, width: int) -> Stamp:
        """Return the shape's pixels in an image of this size."""


class Polygon(NamedTuple):
    """A polygon of one or more rings (n, 2) of corners (x, y)."""

    rings: tuple[Array, ...]
    rule: FillRule = "even-odd"

    def draw(self, height: int, width: int) -> Stamp:
        """Return the pixels whose centres are inside."""
        return fill_polygon(self.rings, height, width, self.rule)


class Disc(NamedTuple):
    """A disc around ``centre`` (x, y)."""

    centre: Array
    radius: float

    def draw(self, height: int, width: int) -> Stamp:
        """Return the pixels whose centres are inside."""
        return fill_disc(self.centre, self.radius, height, width)


class Runs(NamedTuple):
    """A run-length encoded mask of an image of ``height`` × ``width`` pixels."""

    runs: Sequence[int]
    height: int
    width: int

    def draw(self, height: int, width: int) -> Stamp:
        """Return the mask; a UserError if the image has another size."""
        if (self.height, self.width) != (height, width):
            raise UserError(
                f"a run-length encoded mask of {self.height}×{self.width} pixels in an image of {height}×{width} "
                "(height × width)"
            )
        return Stamp(Window(0, 0, height, width), decode_runs(self.runs, height, width))


class Ellipse(NamedTuple):
    """An ellipse around ``centre`` (x, y) with the ``radii`` (x, y), turned clockwise by ``angle`` degrees."""

    centre: Array
    radii: Array
    angle: float = 0.0

    def draw(self, height: int, width: int) -> Stamp:
        """Return the pixels whose centres are inside."""
        return fill_ellipse(self.centre, self.radii, self.angle, height, width)


class Bitmap(NamedTuple):
    """A mask (h, w) bool with its upper left pixel in row ``top`` and column ``left``, which may be outside."""

    mask: Array
    top: int
    left: int

    def draw(self, height: int, width: int) -> Stamp:
        """Return the part of the mask inside the image."""
        h, w = self.mask.shape
        top, left = min(max(self.top, 0), height), min(max(self.left, 0), width)
        bottom, right = min(max(self.top + h, top), height), min(max(self.left + w, left), width)
        inside = self.mask[top - self.top : bottom - self.top, left - self.left : right - self.left]
        return Stamp(Window(top, left, bottom - top, right - left), inside)


class BoxRuns(NamedTuple):
    """Lengths of the runs of 0 and 1 in turn, along the rows of a box of ``height`` × ``width`` pixels."""

    runs: Sequence[int]
    top: int
    left: int
    height: int
    width: int

    def draw(self, height: int, width: int) -> Stamp:
        """Return the mask; a UserError if its box is larger than the image."""
        if self.height > height or self.width > width:
            raise UserError(f"a mask of {self.height}×{self.width} pixels in an image of {height}×{width}")
        mask = decode_runs(self.runs, self.width, self.height).T  # along the rows instead of down the columns
        return Bitmap(mask, self.top, self.left).draw(height, width)


class Brush(NamedTuple):
    """A packed mask of Label Studio's brush, with the size of the image."""

    packed: Any

    def draw(self, height: int, width: int) -> Stamp:
        """Return the pixels that are not transparent; a UserError if the mask is of an image of another size."""
        return Stamp(Window(0, 0, height, width), decode_brush(self.packed, height, width))


class Selected(NamedTuple):
    """The pixels of an image (h, w) of codes that are equal to ``code``."""

    codes: Array
    code: int

    def draw(self, height: int, width: int) -> Stamp:
        """Return the pixels; a UserError if the image has another size."""
        if self.codes.shape != (height, width):
            h, w = self.codes.shape
            raise UserError(f"a mask of {h}×{w} pixels for an image of {height}×{width} (height × width)")
        return Stamp(Window(0, 0, height, width), self.codes == self.code)


def turned_rectangle(corner: Array, size: Array, angle: float, pivot: Array) -> Polygon:
    """Return a rectangle turned clockwise by ``angle`` degrees around ``pivot`` (x, y).

    ``corner`` (x, y) is its upper left corner before it is turned, and ``size`` its width and height.
    """
    corners = corner + size * np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return Polygon(((corners - pivot) @ np.array([(cos, sin), (-sin, cos)]) + pivot,))
