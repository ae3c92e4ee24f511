"""Picture of the objects of an image: the outline of each, and its number."""

import numpy as np
from PIL import Image, ImageDraw

from scratchnet.arrays import Array
from scratchnet.data import Objects
from scratchnet.data.palette import PALETTE
from scratchnet.utils.shape_checks import check_pair
from scratchnet.visualization.animation.canvas import font

LONGER_SIDE = 1000
"""Smaller images are enlarged to about this many pixels along their longer side, so that object numbers are legible."""

FONT_SIZES = (10, 22)
"""Smallest and largest size of the numbers in pixels; between them it follows the size of the object."""


def draw_objects(image: Array, objects: Objects, palette: Array = PALETTE) -> Image.Image:
    """Draw every object's outline, in the colour of its class, and its number over an image.

    Parameters
    ----------
    image : (h, w, 3) uint8
    objects : Objects
        Objects of the image.
    palette : (256, 3) uint8
        Colours of the classes.

    Returns
    -------
    PIL Image
        Enlarged by a whole factor if the image is small. Outlines are one or two pixels wide, inside the objects.

    Raises
    ------
    ValueError
        If image and objects differ in size.
    """
    check_pair("draw_objects", image, objects.instances)
    factor = max(1, round(LONGER_SIDE / max(objects.instances.shape)))
    large = np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)
    numbers = np.repeat(np.repeat(objects.instances, factor, axis=0), factor, axis=1)
    lookup = np.zeros((int(numbers.max(initial=0)) + 1, 3), np.uint8)
    for number, label in objects.labels.items():
        lookup[number] = palette[label]
    outline = _outline(numbers, 2)
    large[outline] = lookup[numbers[outline]]
    picture = Image.fromarray(large)
    _write_numbers(picture, objects, factor)
    return picture


def _write_numbers(picture: Image.Image, objects: Objects, factor: int) -> None:
    """Write the number of each object at its centroid in a picture that is enlarged by ``factor``."""
    draw = ImageDraw.Draw(picture)
    for number, box in objects.boxes.items():
        rows, columns = np.nonzero(objects.instances[box.slices] == number)
        centre = (
            factor * (box.left + float(columns.mean()) + 0.5),
            factor * (box.top + float(rows.mean()) + 0.5),
        )
        size = int(np.clip(factor * len(rows) ** 0.5 / 3, *FONT_SIZES))
        draw.text(centre, str(number), "white", font(size), anchor="mm", stroke_width=2, stroke_fill="black")


def _outline(numbers: Array, width: int) -> Array:
    """Return (h, w) bool: pixels of objects at most ``width`` − 1 pixels from another object or the background."""
    inner = numbers.copy()
    for _ in range(width):
        border = np.zeros(numbers.shape, bool)
        below, beside = inner[1:] != inner[:-1], inner[:, 1:] != inner[:, :-1]
        border[1:] |= below
        border[:-1] |= below
        border[:, 1:] |= beside
        border[:, :-1] |= beside
        inner[border] = 0
    outline: Array = (inner == 0) & (numbers != 0)
    return outline
