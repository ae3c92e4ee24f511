"""Elastic deformation of images and masks, for data augmentation of soft objects."""

import numpy as np
from PIL import Image

from scratchnet.arrays import Array

GRID_SIZE = 3
"""Displacements are drawn at GRID_SIZE × GRID_SIZE points and interpolated between them."""


def deform(image: Array, mask: Array, sigma: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Deform image and mask by the same smooth random displacements.

    The displacements of a 3×3 grid are drawn from a normal distribution and interpolated bicubically (Ronneberger,
    Fischer and Brox 2015, section 3.1, with a standard deviation of 10 pixels). Colours are interpolated bilinearly,
    classes by nearest neighbour, and the image is padded by reflection.

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
    h, w = mask.shape
    drawn = rng.normal(0, sigma, (2, GRID_SIZE, GRID_SIZE)).astype(np.float32)
    shift = [np.asarray(Image.fromarray(part).resize((w, h), Image.Resampling.BICUBIC)) for part in drawn]
    y = np.arange(h, dtype=np.float32)[:, None] + shift[0]
    x = np.arange(w, dtype=np.float32)[None, :] + shift[1]
    nearest = _reflected(np.rint(y), h) * w + _reflected(np.rint(x), w)
    top, left = np.floor(y), np.floor(x)
    down, right = (y - top)[:, :, None], (x - left)[:, :, None]
    rows = [_reflected(top + step, h) * w for step in (0, 1)]
    columns = [_reflected(left + step, w) for step in (0, 1)]
    pixels = image.reshape(h * w, -1)
    upper, lower = (
        pixels.take(row + columns[0], axis=0) * (1 - right) + pixels.take(row + columns[1], axis=0) * right
        for row in rows
    )
    deformed = np.rint(upper * (1 - down) + lower * down).astype(np.uint8)
    return deformed, mask.ravel()[nearest]


def _reflected(position: Array, length: int) -> Array:
    """Reflect integer positions outside the image into it: −1 becomes 0, −2 becomes 1, and so on."""
    folded = np.mod(position.astype(np.int64), 2 * length)
    inside: Array = np.minimum(folded, 2 * length - 1 - folded)
    return inside
