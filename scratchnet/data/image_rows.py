"""Images of any size, some rows at a time: decoded once, and made RGB only where they are looked at.

Pillow holds a decoded image in four bytes a pixel at most. Turning it upright, laying it on white, scaling it and
making an array of it each copy it; done for a few rows at a time, none of that takes memory that grows with the image.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data.image_files import ORIENTATION, ImageHeader, UnsupportedTiffError, inspect_image, open_image
from scratchnet.data.images import ValueRange, read_image, to_rgb
from scratchnet.engine.memory.system import available_memory
from scratchnet.utils.errors import UserError
from scratchnet.utils.shape_checks import check_image

_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "LA": 4, "PA": 4}
"""Bytes that Pillow takes for a pixel of a mode, where they are not four."""

_ROWS = 64
"""Rows that Pillow hands over at a time."""


@dataclass(frozen=True)
class ImageRows:
    """An image that gives its pixels some rows at a time.

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
    """Open an image file of any size that fits into memory, to be read by rows.

    Parameters
    ----------
    path : Path or str
    value_range : (float, float) or None
        As of `read_image`, whose pixels these are.

    Raises
    ------
    UserError
        As `read_image`; not for images above Pillow's limit of pixels, but where there is too little memory.
    """
    with _without_pillows_limit():
        check_memory(path, inspect_image(path))
        try:
            with open_image(path, upright=False) as (image, kind):
                turned = image.getexif().get(ORIENTATION, 1)
                rows = _rows(path, image, kind, value_range, turned)
                rows.rows(0, 1)  # refuses kinds that are not read before any work is done
                return rows
        except UnsupportedTiffError:
            return ImageRows.from_array(read_image(path, value_range))


def check_memory(path: Path | str, kind: ImageHeader) -> None:
    """Raise a UserError when an image is too large to be decoded in the memory that there is."""
    h, w = kind.size
    need, free = h * w * _BYTES.get(kind.mode, 4), available_memory()
    if free is not None and need > free:
        raise UserError(
            f"{path}: too large to open at once: {h}×{w} pixels take {need / 2**30:.1f} GiB, "
            f"and {free / 2**30:.1f} GiB are free; cut it into parts first"
        )


def _rows(
    path: Path | str, image: Image.Image, kind: ImageHeader, value_range: ValueRange | None, orientation: object
) -> ImageRows:
    """Return the rows of a decoded image whose note of a rotation has yet to be followed."""
    w, h = image.size

    def piece(top: int, bottom: int) -> Array:
        part = image.crop(_stored_box(orientation, w, h, top, bottom))
        if orientation in _TURNS:
            part = part.transpose(_TURNS[orientation])
        return to_rgb(path, part, kind, value_range)

    def take(top: int, bottom: int) -> Array:
        pixels = np.empty((bottom - top, h if orientation in _SIDEWAYS else w, 3), np.uint8)
        for start in range(top, bottom, _ROWS):  # Pillow and NumPy make four copies on the way
            end = min(start + _ROWS, bottom)
            pixels[start - top : end - top] = piece(start, end)
        return pixels

    return ImageRows(w, h, take) if orientation in _SIDEWAYS else ImageRows(h, w, take)


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
"""What makes an image upright, by its orientation."""

_SIDEWAYS = (5, 6, 7, 8)


def _stored_box(orientation: object, w: int, h: int, top: int, bottom: int) -> tuple[int, int, int, int]:
    """Return where rows of the upright image lie in the stored one, as left, upper, right and lower border."""
    if orientation in {5, 6}:
        return top, 0, bottom, h
    if orientation in {7, 8}:
        return w - bottom, 0, w - top, h
    return (0, h - bottom, w, h - top) if orientation in {3, 4} else (0, top, w, bottom)


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Open images of more pixels than Pillow takes for an attack; here the memory is the limit."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
