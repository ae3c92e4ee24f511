"""Frames for animations: matrices with coloured cells, drawn with Pillow.

Matplotlib needs a tenth of a second per picture, too long for an animation of two dozen. Here a frame takes a few
milliseconds, and few colours keep the file small. `scratchnet.visualization.style` defines the colours.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from scratchnet.arrays import Array
from scratchnet.ops.geometry import Pair
from scratchnet.visualization.matrices import format_number
from scratchnet.visualization.style import INK, MUTED, ROLES

CELL = 32
"""Side of a cell in pixels."""
TITLE = 24
"""Space above a matrix for its title, in pixels."""
MARGIN = 16
RGB_TO_INT = np.array([1 << 16, 1 << 8, 1], np.int32)
"""Encodes a colour (r, g, b) as one integer."""


class Canvas:
    """White image to draw a frame on.

    Parameters
    ----------
    width, height : int
        Size in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), "white")
        self._draw = ImageDraw.Draw(self.image)

    def matrix(
        self,
        at: Pair,
        values: Array,
        roles: Array | str,
        title: str = "",
        shown: Array | None = None,
        frame: tuple[int, int, int, int] | None = None,
        tints: Array | float = 0.5,
    ) -> None:
        """Draw a matrix.

        Parameters
        ----------
        at : (x, y)
            Pixel of the top left corner of the first cell; the title is above it.
        values : (rows, columns)
        roles : (rows, columns) of str, or str for all cells
            Keys of `scratchnet.visualization.style.ROLES`, or "" for a white cell.
        title : str
        shown : (rows, columns) bool or None
            Cells to fill in; the others are empty squares. None: all.
        frame : (row, column, rows, columns) or None
            Cells to enclose in a heavy frame.
        tints : (rows, columns) or float
            Opacity of the role's colour in a cell, 0 to 1.
        """
        x, y = at
        rows, columns = values.shape
        named, strength = (np.broadcast_to(np.asarray(one), values.shape) for one in (roles, tints))
        for row, column in np.ndindex(rows, columns):
            filled = shown is None or shown[row, column]
            colour = tint(str(named[row, column]) if filled else "", float(strength[row, column]))
            text = format_number(float(values[row, column])) if filled else ""
            self._cell((x + column * CELL, y + row * CELL), colour, text)
        if frame is not None:
            row, column, high, wide = frame
            left, top = x + column * CELL, y + row * CELL
            self._draw.rectangle((left, top, left + wide * CELL, top + high * CELL), outline=INK, width=3)
        self.text((x, y - 7), title)

    def _cell(self, at: Pair, colour: tuple[int, int, int], text: str) -> None:
        x, y = at
        self._draw.rectangle((x, y, x + CELL, y + CELL), fill=colour, outline=MUTED)
        self._draw.text((x + CELL / 2, y + CELL / 2), text, fill=INK, font=font(13), anchor="mm")

    def text(self, at: Pair, words: str, size: int = 13, anchor: str = "ls") -> None:
        """Write a line of text; ``anchor`` is Pillow's code for the position of ``at`` ("ls": left baseline)."""
        self._draw.text(at, words, fill=INK, font=font(size), anchor=anchor)


def tint(role: str, share: float) -> tuple[int, int, int]:
    """Return white blended with a role's colour."""
    if not role:
        return 255, 255, 255
    red, green, blue, *_ = (round(255 + share * (part - 255)) for part in ImageColor.getrgb(ROLES[role]))
    return red, green, blue


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return Matplotlib's default font."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def animation(frames: Sequence[Image.Image], colours: int = 64) -> list[Image.Image]:
    """Return the frames with a common palette of their most frequent colours: the GIF is small and does not flicker."""
    count: Counter[Any] = Counter()
    for frame in frames:
        count.update({colour: times for times, colour in frame.getcolors(frame.width * frame.height) or ()})
    found = np.array([colour for colour, _ in count.most_common()])  # (all, 3)
    palette = found[:colours]
    nearest = ((found[:, None] - palette) ** 2).sum(axis=2).argmin(axis=1)
    index = np.zeros(1 << 24, np.uint8)
    index[found @ RGB_TO_INT] = nearest
    return [_with_palette(index[np.asarray(frame, np.int32) @ RGB_TO_INT], palette) for frame in frames]


def _with_palette(indices: Array, palette: Array) -> Image.Image:
    image = Image.fromarray(indices)
    image.putpalette(palette.ravel().tolist())
    return image
