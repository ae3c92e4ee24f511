"""Elastic deformation of images and masks, for data augmentation of soft objects."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from scratchnet.arrays import Array

GRID_SIZE = 3
"""Displacements are drawn at GRID_SIZE × GRID_SIZE points and interpolated between them."""


@dataclass(frozen=True)
class Deformation:
    """Smooth random displacements of all pixels of an image.

    Attributes
    ----------
    y, x : (h, w) float32
        Position in the image, in pixels, from which each pixel is taken.
    """

    y: Array
    x: Array

    @classmethod
    def draw(cls, shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> "Deformation":
        """Draw the displacements of a 3×3 grid from a normal distribution and interpolate them bicubically.

        See Ronneberger, Fischer and Brox 2015, section 3.1, with a standard deviation ``sigma`` of 10 pixels.
        """
        h, w = shape
        drawn = rng.normal(0, sigma, (2, GRID_SIZE, GRID_SIZE)).astype(np.float32)
        down, across = (np.asarray(Image.fromarray(part).resize((w, h), Image.Resampling.BICUBIC)) for part in drawn)
        return cls(np.arange(h, dtype=np.float32)[:, None] + down, np.arange(w, dtype=np.float32)[None, :] + across)

    def mask(self, mask: Array) -> Array:
        """Return the deformed mask (h, w), by nearest neighbour and padded by reflection."""
        h, w = mask.shape
        deformed: Array = mask.ravel()[_reflected(np.rint(self.y), h) * w + _reflected(np.rint(self.x), w)]
        return deformed

    def image(self, image: Array, rows: slice = slice(None), columns: slice = slice(None)) -> Array:
        """Return the deformed image (h, w, 3) uint8, or a window of it: bilinear and padded by reflection."""
        h, w = image.shape[:2]
        y, x = self.y[rows, columns], self.x[rows, columns]
        top, left = np.floor(y), np.floor(x)
        down, right = (y - top)[:, :, None], (x - left)[:, :, None]
        above_and_below = [_reflected(top + step, h) * w for step in (0, 1)]
        beside = [_reflected(left + step, w) for step in (0, 1)]
        pixels = image.reshape(h * w, -1)
        upper, lower = (
            pixels.take(row + beside[0], axis=0) * (1 - right) + pixels.take(row + beside[1], axis=0) * right
            for row in above_and_below
        )
        deformed: Array = np.rint(upper * (1 - down) + lower * down).astype(np.uint8)
        return deformed


def deform(image: Array, mask: Array, sigma: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Deform image and mask by the same smooth random displacements.

    Parameters
    ----------
    image : (h, w, 3) uint8
    mask : (h, w) uint8
    sigma : float
        Standard deviation of the displacements in pixels, along each axis.
    rng : numpy Generator

    Returns
    -------
    image, mask
        In the same size.
    """
    drawn = Deformation.draw(mask.shape, sigma, rng)
    return drawn.image(image), drawn.mask(mask)


def _reflected(position: Array, length: int) -> Array:
    """Reflect integer positions outside the image into it: −1 becomes 0, −2 becomes 1, and so on."""
    folded = position.astype(np.int64)
    if folded.size and (folded.min() < -length or folded.max() >= 2 * length):
        folded = np.mod(folded, 2 * length)
    folded = np.where(folded < 0, ~folded, folded)
    inside: Array = np.minimum(folded, 2 * length - 1 - folded)
    return inside
