"""Shapes and textures of generated images."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from scratchnet.arrays import Array


@dataclass(frozen=True)
class Patch:
    """A rectangle of the image around an object, with the coordinates of its pixels.

    Attributes
    ----------
    rows, columns : slice
        Its position in the image.
    y, x : (h, 1) and (1, w) float32
        Pixel centres relative to the object's centre.
    """

    rows: slice
    columns: slice
    y: Array
    x: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Return (h, w)."""
        return self.y.shape[0], self.x.shape[1]


def patch_around(centre: tuple[float, float], reach: float, size: int) -> Patch:
    """Return the part of a (size, size) image within ``reach`` pixels of a point, which may be empty."""
    (top, bottom), (left, right) = (
        (min(max(int(c - reach), 0), size), min(max(int(c + reach) + 2, 0), size)) for c in centre
    )
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(centre[0])
    x = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(centre[1])
    return Patch(slice(top, bottom), slice(left, right), y, x)


def relative_radius(rng: np.random.Generator, y: Array, x: Array, radius: float, stretch: float, lumps: float) -> Array:
    """Return the distance of every pixel from the centre relative to that of the outline; below 1 is inside.

    The outline is an ellipse of the aspect ratio ``stretch`` at a random angle, whose radius is modulated by a few
    random harmonics of relative size ``lumps``.
    """
    angle = rng.uniform(0, np.pi)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = (cos * x + sin * y) / np.float32(radius * stretch**0.5)
    across = (cos * y - sin * x) / np.float32(radius / stretch**0.5)
    distance: Array = np.hypot(along, across)
    if lumps:
        # cos(k·direction + phase) is the real part of a power of the unit vector, which avoids trigonometry per pixel.
        direction = (along + np.complex64(1j) * across) / np.maximum(distance, np.float32(1e-6))
        power = direction
        outline = np.ones_like(distance)
        for harmonic in (2, 3, 4):
            power = power * direction
            amount, phase = rng.normal(0, lumps / harmonic), rng.uniform(0, 2 * np.pi)
            outline += (np.complex64(amount * np.exp(1j * phase)) * power).real
        distance /= np.maximum(outline, np.float32(0.3))
    return distance


def coverage(relative: Array, radius: float, softness: float = 1.0) -> Array:
    """Return the coverage of every pixel, 0 to 1, with an outline ``softness`` pixels wide."""
    covered: Array = np.clip(0.5 + (1 - relative) * np.float32(radius / softness), 0, 1)
    return covered


def bump(relative: Array, radius: float, width: float) -> Array:
    """Return a smooth ring of height 1 at the relative radius ``radius``."""
    ring: Array = np.exp(-(((relative - np.float32(radius)) / np.float32(width)) ** 2))
    return ring


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Array:
    """Return smooth noise (h, w) float32 of mean 0 and deviation about 1, with a scale of ``grain`` pixels."""
    coarse = tuple(max(round(length / grain), 2) + 2 for length in shape)
    clouds = Image.fromarray(rng.standard_normal(coarse, dtype=np.float32))
    return np.array(clouds.resize(shape[::-1], Image.Resampling.BICUBIC))
