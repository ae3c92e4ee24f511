"""The simplest segmentation task: one square on a plain ground."""

import numpy as np

from scratchnet.arrays import Array

SQUARE_CLASSES = ("background", "square")

_MIN_CONTRAST = 28.0
"""Smallest distance of the two colours in RGB: what is closer, a person cannot see on a screen."""


def make_square(rng: np.random.Generator, size: int = 512) -> tuple[Array, Array]:
    """Draw one square of a random colour, place and side on a ground of another random colour.

    Follows the data set of a student's report on a simplified SegNet-Basic. Neither brightness nor colour tells which
    is the square: only shape does.

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
    ground = rng.integers(0, 256, 3)
    colour = rng.integers(0, 256, 3)
    while np.linalg.norm(ground - colour) < _MIN_CONTRAST:
        colour = rng.integers(0, 256, 3)
    side = max(round(int(rng.integers(90, 101)) * size / 512), 1)
    top, left = rng.integers(0, size - side + 1, 2)
    mask = np.zeros((size, size), np.uint8)
    mask[top : top + side, left : left + side] = 1
    return np.where(mask[:, :, None] == 1, colour, ground).astype(np.uint8), mask
