"""The simplest segmentation task: one square on a plain background."""

import numpy as np

from scratchnet.arrays import Array

SQUARE_CLASSES = ("background", "square")

_MIN_CONTRAST = 28.0
"""Minimum RGB distance of the two colours; closer colours look the same on a screen."""


def make_square(rng: np.random.Generator, size: int = 512) -> tuple[Array, Array]:
    """Draw a square of random colour, position and side on a background of another random colour.

    After the data set of a student's report on a simplified SegNet-Basic. Neither brightness nor colour distinguishes
    the square from the background, only its shape.

    Parameters
    ----------
    rng : numpy Generator
    size : int
        Side of the image in pixels. The square's side is 90 to 100 pixels at 512 and scales with it.

    Returns
    -------
    image : (size, size, 3) uint8
    mask : (size, size) uint8
        1 inside the square.
    """
    background = rng.integers(0, 256, 3)
    colour = rng.integers(0, 256, 3)
    while np.linalg.norm(background - colour) < _MIN_CONTRAST:
        colour = rng.integers(0, 256, 3)
    side = max(round(int(rng.integers(90, 101)) * size / 512), 1)
    top, left = rng.integers(0, size - side + 1, 2)
    mask = np.zeros((size, size), np.uint8)
    mask[top : top + side, left : left + side] = 1
    return np.where(mask[:, :, None] == 1, colour, background).astype(np.uint8), mask
