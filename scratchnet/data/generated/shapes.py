"""Generated images of several shapes of very different sizes, a test of networks with a fixed receptive field.

Noh, Hong and Han (ICCV 2015, section 1) argue that a network with a fixed receptive field fragments larger objects and
misses much smaller ones. These images test that claim: sizes span 1:10, and only the outline of an object shows its
class.
"""

from dataclasses import dataclass
from math import cos, pi, sin
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.generated.drawing import Patch, patch_around, smooth_noise

SHAPE_CLASSES = ("background", "disc", "square", "triangle", "ring", "star")

_MIN_DIAMETER, _MAX_DIAMETER = 0.06, 0.6
"""Range of the size of an object as a fraction of the image's side."""
_MIN_VISIBLE = 0.6
"""Minimum fraction of an object's area that is inside the image and not hidden by other objects."""
_MIN_CONTRAST = 50.0
"""Minimum RGB distance between the mean colours of an object and of the background."""
_SWING = (12.0, 32.0)
"""Range of the RGB distance between the mean colour of a texture and its two colours."""
_HOLE, _NOTCH = 0.55, 0.45
"""Inner radius of a ring, and of the notches between the tips of a star, as a fraction of the outer radius."""

# Circumradius of each shape of size 1, that is, with the area of a disc of diameter 1.
_RADIUS = {
    1: 0.5,
    2: (pi / 8) ** 0.5,
    3: (pi / (3 * 3**0.5)) ** 0.5,
    4: 0.5 / (1 - _HOLE**2) ** 0.5,
    5: (pi / 4 / (5 * _NOTCH * sin(pi / 5))) ** 0.5,
}


@dataclass(frozen=True)
class Scene:
    """An image with its annotations.

    Attributes
    ----------
    image : (size, size, 3) uint8
    mask : (size, size) uint8
        Class of every pixel.
    objects : (size, size) uint8
        Instance mask: number of the object at every pixel, 1, 2, …; 0 is the background.
    labels : tuple of int
        Class of object 1, 2, …
    sizes : tuple of float
        Size of object 1, 2, …: the diameter in pixels of a disc of the same area, including hidden parts.
    """

    image: Array
    mask: Array
    objects: Array
    labels: tuple[int, ...]
    sizes: tuple[float, ...]


class _Texture(NamedTuple):
    """Two colours, (3,) float32 each, and the pattern in which they alternate."""

    light: Array
    dark: Array
    pattern: int


def make_shapes(rng: np.random.Generator, size: int = 160, plain: bool = False) -> Scene:
    """Draw three to eight discs, squares, triangles, rings and stars.

    Sizes are log-uniform from 6 % to 60 % of the image's side, so that every octave is equally frequent; the classes
    have equal area at equal size. Objects are rotated at random, overlap and are cut off by the image border, but at
    least 60 % of each is visible. Objects and background have the same textures (clouds, grain, stripes, checks, dots)
    in random colours, and the background has patches with edges: only the whole outline indicates an object.

    Parameters
    ----------
    rng : numpy Generator
    size : int
        Side of the image in pixels; everything scales with it.
    plain : bool
        One colour for each object and for the background, so that a small network learns the task in minutes.

    Returns
    -------
    Scene
        Masks are exact: a pixel belongs to the topmost object that covers more than half of it.
    """
    unit = size / 160
    whole = patch_around((size / 2, size / 2), size, size)
    swing = (0.0, 0.0) if plain else _SWING
    picture, textures = _background(rng, whole, unit, 1 if plain else int(rng.integers(2, 4)), swing)
    objects = np.zeros((size, size), np.uint8)
    labels: list[int] = []
    sizes: list[float] = []
    for _ in range(int(rng.integers(3, 9))):
        label = int(rng.integers(1, len(SHAPE_CLASSES)))
        diameter = size * _MIN_DIAMETER * (_MAX_DIAMETER / _MIN_DIAMETER) ** rng.random()
        found = _find_position(rng, objects, label, diameter, sizes)
        if found is not None:
            patch, distance = found
            _paint(rng, picture, patch, distance, _texture(rng, textures, swing), unit)
            labels.append(label)
            sizes.append(diameter)
            objects[patch.rows, patch.columns][distance < 0] = len(labels)
    mask = np.array([0, *labels], np.uint8)[objects]
    return Scene(_photograph(rng, picture, unit), mask, objects, tuple(labels), tuple(sizes))


def _paint(
    rng: np.random.Generator, picture: Array, patch: Patch, distance: Array, texture: _Texture, unit: float
) -> None:
    """Paint an object with a smooth outline over the image."""
    covered = np.clip(0.5 - distance, 0, 1)[:, :, None]
    below = picture[patch.rows, patch.columns]
    below += covered * (_painted(rng, patch, texture, unit) - below)


def _find_position(
    rng: np.random.Generator, objects: Array, label: int, diameter: float, sizes: list[float]
) -> tuple[Patch, Array] | None:
    """Try random positions for an object; return its patch and distances, or None if it hides too much everywhere."""
    size = len(objects)
    radius = _RADIUS[label] * diameter
    visible = np.bincount(objects.ravel(), minlength=len(sizes) + 1)[1:]
    needed = _MIN_VISIBLE * pi / 4 * np.square(sizes)
    for _ in range(12):
        y, x, angle = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0, 2 * pi)
        patch = patch_around((y, x), radius + 1, size)
        distance = _distance(label, patch, radius, angle)
        inside = distance < 0
        if inside.sum() < _MIN_VISIBLE * pi / 4 * diameter**2:
            continue
        hidden = np.bincount(objects[patch.rows, patch.columns][inside], minlength=len(sizes) + 1)[1:]
        if (visible - hidden >= needed).all():
            return patch, distance
    return None


def _distance(label: int, patch: Patch, radius: float, angle: float) -> Array:
    """Return the distance in pixels of every pixel's centre from the outline; negative inside.

    Polygons and stars consist of equal sectors around the centre. Folding the direction into half a sector leaves a
    single straight edge.
    """
    away: Array = np.hypot(patch.y, patch.x)
    if label in (1, 4):
        outside = away - np.float32(radius)
        return outside if label == 1 else np.maximum(outside, np.float32(_HOLE * radius) - away)
    corners = {2: 4, 3: 3, 5: 5}[label]
    sector = 2 * pi / corners
    direction = np.arctan2(patch.y, patch.x) - np.float32(angle)
    folded = np.abs(np.mod(direction, np.float32(sector)) - np.float32(sector / 2))  # 0 midway between two corners
    along, across = away * np.cos(folded), away * np.sin(folded)
    # The edge goes from midway between two corners, `inner` from the centre, to a corner half a sector further.
    inner = radius * (_NOTCH if label == 5 else cos(sector / 2))
    edge = (radius * cos(sector / 2) - inner, radius * sin(sector / 2))
    length = (edge[0] ** 2 + edge[1] ** 2) ** 0.5
    beyond: Array = (along - np.float32(inner)) * np.float32(edge[1] / length) - across * np.float32(edge[0] / length)
    return beyond


def _background(
    rng: np.random.Generator, whole: Patch, unit: float, count: int, swing: tuple[float, float]
) -> tuple[Array, list[_Texture]]:
    """Return the background (size, size, 3) float32 and its textures, in patches with random borders."""
    textures = [_texture(rng, [], swing) for _ in range(count)]
    picture = _painted(rng, whole, textures[0], unit)
    for texture in textures[1:]:
        patches = smooth_noise(rng, whole.shape, unit * rng.uniform(20, 60)) > np.float32(rng.uniform(0.2, 0.8))
        picture = np.where(patches[:, :, None], _painted(rng, whole, texture, unit), picture)
    return picture, textures


def _texture(rng: np.random.Generator, others: list[_Texture], distances: tuple[float, float]) -> _Texture:
    """Choose two colours and a pattern; the mean colour differs enough from those of ``others``."""
    middle = rng.uniform(35, 220, 3)
    while any(np.linalg.norm(middle - (other.light + other.dark) / 2) < _MIN_CONTRAST for other in others):
        middle = rng.uniform(35, 220, 3)
    swing = rng.standard_normal(3)
    swing *= rng.uniform(*distances) / np.linalg.norm(swing)
    return _Texture((middle + swing).astype(np.float32), (middle - swing).astype(np.float32), int(rng.integers(5)))


def _painted(rng: np.random.Generator, patch: Patch, texture: _Texture, unit: float) -> Array:
    """Return the texture on the patch, (h, w, 3) float32."""
    share = 0.5 + 0.5 * _pattern(rng, patch, texture.pattern, unit)
    painted: Array = texture.dark + share[:, :, None] * (texture.light - texture.dark)
    return painted


def _pattern(rng: np.random.Generator, patch: Patch, pattern: int, unit: float) -> Array:
    """Return values between about −1 and 1, (h, w) float32: clouds, grain, stripes, checks or dots."""
    period = rng.uniform(3, 9) * unit
    if pattern == 0:
        return smooth_noise(rng, patch.shape, period)
    if pattern == 1:
        return smooth_noise(rng, patch.shape, unit)
    angle = rng.uniform(0, pi)
    wave = [np.float32(2 * pi / period * value) for value in (cos(angle), sin(angle))]
    shift = rng.uniform(0, 2 * pi, 2).astype(np.float32)
    waves: Array = np.sin(wave[0] * patch.x + wave[1] * patch.y + shift[0])
    if pattern == 2:
        return waves
    crossing = np.sin(wave[0] * patch.y - wave[1] * patch.x + shift[1])
    checks: Array = np.sign(waves * crossing)
    dots: Array = np.where(waves * waves + crossing * crossing < np.float32(0.5), np.float32(1), np.float32(-0.6))
    return checks if pattern == 3 else dots


def _photograph(rng: np.random.Generator, picture: Array, unit: float) -> Array:
    """Add a gradient of light and noise; return (size, size, 3) uint8."""
    axis = np.linspace(-1, 1, len(picture), dtype=np.float32)
    down, across = rng.uniform(-0.12, 0.12, 2).astype(np.float32)
    light = rng.uniform(0.9, 1.1) + down * axis[:, None] + across * axis[None, :]
    noise = np.float32(rng.uniform(1, 6)) * rng.standard_normal(picture.shape, dtype=np.float32)
    image: Array = np.clip(np.rint(picture * light[:, :, None].astype(np.float32) + noise), 0, 255).astype(np.uint8)
    return image
