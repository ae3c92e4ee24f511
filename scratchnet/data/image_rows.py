"""Images of any size, read a few rows at a time: decoded once, converted to RGB on demand.

Pillow stores a decoded image in at most four bytes per pixel. Rotating it upright, compositing it on white, scaling it
and converting it to an array each copy it. For a few rows at a time, these copies need little memory.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data.image_files import inspect_image, open_image
from scratchnet.data.image_headers import ORIENTATION, ImageHeader
from scratchnet.data.images import ValueRange, read_image, to_rgb
from scratchnet.data.unreadable_images import UnsupportedTiffError
from scratchnet.engine.memory.system import available_memory
from scratchnet.utils.errors import UserError
from scratchnet.utils.shape_checks import check_image

_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "LA": 4, "PA": 4}
"""Bytes per pixel of Pillow's modes, where they are not four."""

_CHUNK_ROWS = 64
"""Number of rows that are converted at a time."""


@dataclass(frozen=True)
class ImageRows:
    """An image that is read a few rows at a time.

    Attributes
    ----------
    height, width : int
    rows : callable
        (top, bottom) → rows ``top`` to ``bottom − 1``, (bottom − top, width, 3) uint8.
    """

    height: int
    width: int
    rows: Callable[[int, int], Array]

    @classmethod
    def from_array(cls, image: Array) -> "ImageRows":
        """Return the rows of an array (h, w, 3) uint8."""
        check_image("ImageRows.from_array", image)
        height, width = image.shape[:2]
        return cls(height, width, lambda top, bottom: image[top:bottom])

    def read(self) -> Array:
        """Return the image (h, w, 3) uint8."""
        return self.rows(0, self.height)


def open_rows(path: Path | str, value_range: ValueRange | None = None) -> ImageRows:
    """Open an image file of any size that fits into memory, to read it by rows.

    Parameters
    ----------
    path : Path or str
    value_range : (float, float) or None
        As in `read_image`, which returns the same pixels.

    Raises
    ------
    UserError
        As `read_image`, except that the number of pixels is limited by the free memory instead of Pillow's limit.
    """
    with _without_pillows_limit():
        check_memory(path, inspect_image(path))
        try:
            with open_image(path, upright=False) as (image, header):
                orientation = image.getexif().get(ORIENTATION, 1)
                rows = _rows(path, image, header, value_range, orientation)
                rows.rows(0, 1)  # reject unsupported pixels before any work is done
                return rows
        except UnsupportedTiffError:
            return ImageRows.from_array(read_image(path, value_range))


def check_memory(path: Path | str, header: ImageHeader) -> None:
    """Raise a UserError when decoding an image would need more than the free memory."""
    h, w = header.size
    need, free = h * w * _BYTES.get(header.mode, 4), available_memory()
    if free is not None and need > free:
        raise UserError(
            f"{path}: too large to open at once: {h}×{w} pixels take {need / 2**30:.1f} GiB, "
            f"and {free / 2**30:.1f} GiB are free; cut it into parts first"
        )


def _rows(
    path: Path | str, image: Image.Image, header: ImageHeader, value_range: ValueRange | None, orientation: object
) -> ImageRows:
    """Return the rows of a decoded image that has not been rotated upright."""
    w, h = image.size

    def convert(top: int, bottom: int) -> Array:
        part = image.crop(_stored_box(orientation, w, h, top, bottom))
        if orientation in _TURNS:
            part = part.transpose(_TURNS[orientation])
        return to_rgb(path, part, header, value_range)

    def rows(top: int, bottom: int) -> Array:
        pixels = np.empty((bottom - top, h if orientation in _SIDEWAYS else w, 3), np.uint8)
        for start in range(top, bottom, _CHUNK_ROWS):  # Pillow and NumPy make four copies
            end = min(start + _CHUNK_ROWS, bottom)
            pixels[start - top : end - top] = convert(start, end)
        return pixels

    return ImageRows(w, h, rows) if orientation in _SIDEWAYS else ImageRows(h, w, rows)


_TURN = Image.Transpose
_TURNS: dict[object, Image.Transpose] = {
    2: _TURN.FLIP_LEFT_RIGHT,
    3: _TURN.ROTATE_180,
    4: _TURN.FLIP_TOP_BOTTOM,
    5: _TURN.TRANSPOSE,
    6: _TURN.ROTATE_270,
    7: _TURN.TRANSVERSE,
    8: _TURN.ROTATE_90,
}
"""Transpose operation that makes an image upright, by orientation."""

_SIDEWAYS = (5, 6, 7, 8)


def _stored_box(orientation: object, w: int, h: int, top: int, bottom: int) -> tuple[int, int, int, int]:
    """Return the box (left, top, right, bottom) of the stored image that holds rows of the upright image."""
    if orientation in {5, 6}:
        return top, 0, bottom, h
    if orientation in {7, 8}:
        return w - bottom, 0, w - top, h
    return (0, h - bottom, w, h - top) if orientation in {3, 4} else (0, top, w, bottom)


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Lift Pillow's limit on the number of pixels; the free memory is the limit instead."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
