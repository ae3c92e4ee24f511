"""Data augmentation: random changes of images and masks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.border import cover_border
from scratchnet.data.elastic import Deformation
from scratchnet.data.resizing import resize_image, resize_mask
from scratchnet.data.stain import vary_stain
from scratchnet.utils.shape_checks import check_pair

Pair: TypeAlias = tuple[Array, Array]
"""Image (h, w, 3) uint8 and mask (h, w) uint8."""

OTHER_STAIN, OTHER_LIGHT = 1 / 2, 2 / 3
"""Shares of the samples whose stains and whose light change. The others keep them, so that a network stays good at the
stains of the training set."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training samples and their strengths. The defaults change nothing."""

    flip_horizontal: bool = False
    """Flip half of the images left to right, chosen at random."""
    flip_vertical: bool = False
    """Flip half of the images top to bottom, chosen at random."""
    rotate90: bool = False
    """Rotate by a random multiple of 90 degrees; only by 180 if the image is neither square nor cropped, because it
    must keep its size."""
    crop: tuple[int, int] | None = None
    """Height and width of a random crop; smaller images are padded by reflection first."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Range of a random scale factor; without --crop the result is cropped or padded back to its original size."""
    elastic: float = 0.0
    """Elastic deformation: standard deviation in pixels of random displacements on a 3×3 grid (U-Net: 10)."""
    brightness: float = 0.0
    """Brightness is multiplied by a random factor from 1 - value to 1 + value."""
    contrast: float = 0.0
    """The same for contrast."""
    saturation: float = 0.0
    """The same for colour saturation."""
    hue: float = 0.0
    """Largest random shift of the hue, as a fraction of the colour circle."""
    random_colours: float = 0.0
    """Probability that a sample's hue is shifted by any angle and its saturation multiplied by a factor from 0 (grey)
    to 2, instead of --hue and --saturation: texture and shape then count more, and objects are also found in colours
    that no training image has."""
    stain: float = 0.0
    """Largest random change of the absorbances of stains (0.3: by 30 %), for microscope images from other laboratories;
    also changes exposure and colour of the light. Half of the samples keep their stains, a third their light."""
    black_border: float = 0.0
    """Probability that a part of a sample is black, beyond a straight or round edge, as around the field of view of a
    microscope. Its pixels are background (class 0)."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise, as a fraction of the brightness range."""
    mosaic: float = 0.0
    """Probability that a sample is composed of four, which meet at a random point near the middle."""
    background_crops: float = 0.0
    """Probability that a sample, or a quarter of a mosaic, shows only background (class 0), padded by reflection. If
    every training image contains an object, the network learns that there may be none."""
    balanced_crops: float = 0.0
    """Probability that a crop is placed on a pixel of a class drawn at random among those of the image, so that rare
    classes are seen more often."""


def augment(
    image: Array,
    mask: Array,
    rng: np.random.Generator,
    augmentation: Augmentation,
    others: Callable[[np.random.Generator], Pair],
) -> Pair:
    """Change a sample at random.

    Parameters
    ----------
    image : (h, w, 3) uint8
    mask : (h, w) uint8
        Transformed with the image by nearest neighbour, so that no new class indices appear.
    rng : numpy Generator
        The only source of randomness.
    augmentation : Augmentation
    others : callable
        Draws another sample, given a generator; used by ``mosaic``.

    Returns
    -------
    image, mask
        In the size ``augmentation.crop``, or in the size of the input.
    """
    check_pair("augment", image, mask)
    size = augmentation.crop or mask.shape
    if augmentation.mosaic and rng.random() < augmentation.mosaic:
        parts = [(image, mask), *(others(rng) for _ in range(3))]
        image, mask = _mosaic([_transform(*part, rng, augmentation) for part in parts], (size[0], size[1]), rng)
    else:
        balanced = augmentation.balanced_crops
        image, mask = _random_window(_transform(image, mask, rng, augmentation), (size[0], size[1]), rng, balanced)
    if augmentation.stain:
        stain, light = (augmentation.stain * (rng.random() < share) for share in (OTHER_STAIN, OTHER_LIGHT))
        image = vary_stain(image, rng, stain, light)
    image = _recolour(image, rng, augmentation)
    if augmentation.black_border and rng.random() < augmentation.black_border:
        image, mask = cover_border(image, mask, rng)
    return image, mask


def _transform(
    image: Array, mask: Array, rng: np.random.Generator, augmentation: Augmentation
) -> tuple[Array, Array, Deformation | None]:
    """Flip, rotate and scale image and mask, and deform the mask; also return the deformation for the image."""
    if augmentation.background_crops and rng.random() < augmentation.background_crops:
        image, mask = _background_crop(image, mask, rng)
    if augmentation.flip_horizontal and rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if augmentation.flip_vertical and rng.random() < 0.5:
        image, mask = image[::-1], mask[::-1]
    if augmentation.rotate90:
        turns = int(rng.integers(4))
        if augmentation.crop is None and mask.shape[0] != mask.shape[1]:
            turns = turns // 2 * 2
        image, mask = np.rot90(image, turns), np.rot90(mask, turns)
    if augmentation.scale != (1.0, 1.0):
        factor = rng.uniform(*augmentation.scale)
        size = (max(round(mask.shape[0] * factor), 1), max(round(mask.shape[1] * factor), 1))
        image, mask = resize_image(np.ascontiguousarray(image), size), resize_mask(np.ascontiguousarray(mask), size)
    if not augmentation.elastic:
        return image, mask, None
    deformation = Deformation.draw(mask.shape, augmentation.elastic, rng)
    return np.ascontiguousarray(image), deformation.mask(mask), deformation


def _background_crop(image: Array, mask: Array, rng: np.random.Generator) -> Pair:
    """Crop a strip above, below, left or right of all objects; return the whole sample if no strip is wide enough."""
    height, width = mask.shape
    rows, columns = np.flatnonzero((mask != 0).any(axis=1)), np.flatnonzero((mask != 0).any(axis=0))
    if not rows.size:
        return image, mask
    gap = max(2, min(mask.shape) // 32)  # hand-drawn borders are rough
    strips = [
        (slice(0, max(0, int(rows[0]) - gap)), slice(0, width)),
        (slice(int(rows[-1]) + 1 + gap, height), slice(0, width)),
        (slice(0, height), slice(0, max(0, int(columns[0]) - gap))),
        (slice(0, height), slice(int(columns[-1]) + 1 + gap, width)),
    ]
    wide = [s for s in strips if min(s[0].stop - s[0].start, s[1].stop - s[1].start) >= max(2, min(mask.shape) // 8)]
    if not wide:
        return image, mask
    chosen = wide[int(rng.integers(len(wide)))]
    return image[chosen], mask[chosen]


def _random_window(
    sample: tuple[Array, Array, Deformation | None],
    size: tuple[int, int],
    rng: np.random.Generator,
    balanced: float = 0.0,
) -> Pair:
    """Crop a window at a random position, or (probability ``balanced``) on a pixel of a random class.

    Smaller samples are padded by reflection.
    """
    image, mask, deformation = sample
    missing = [max(want - have, 0) for want, have in zip(size, mask.shape, strict=True)]
    if any(missing):
        if deformation is not None:
            image, deformation = deformation.image(image), None
        border = [(gap // 2, gap - gap // 2) for gap in missing]
        image, mask = np.pad(image, [*border, (0, 0)], mode="reflect"), np.pad(mask, border, mode="reflect")
    low, high = [0, 0], [have - want for want, have in zip(size, mask.shape, strict=True)]
    if balanced and any(high) and rng.random() < balanced:
        pixel = _pixel_of_a_class(mask, rng)
        low = [max(0, place - want + 1) for place, want in zip(pixel, size, strict=True)]
        high = [min(place, most) for place, most in zip(pixel, high, strict=True)]
    top, left = (int(rng.integers(first, last + 1)) for first, last in zip(low, high, strict=True))
    rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
    window = image[rows, columns] if deformation is None else deformation.image(image, rows, columns)
    return np.ascontiguousarray(window), np.ascontiguousarray(mask[rows, columns])


def _pixel_of_a_class(mask: Array, rng: np.random.Generator) -> tuple[int, int]:
    """Return a random pixel (row, column) of a random value of the mask; 255, usually ignored, only if it is alone."""
    present = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    chosen = rng.choice(present[present < 255] if present[0] < 255 else present)
    places = np.flatnonzero(mask.ravel() == chosen)
    row, column = divmod(int(rng.choice(places)), mask.shape[1])
    return row, column


def _mosaic(
    parts: list[tuple[Array, Array, Deformation | None]], size: tuple[int, int], rng: np.random.Generator
) -> Pair:
    """Compose four samples around a random point in the middle half of the image."""
    height, width = size
    y, x = int(rng.uniform(0.25, 0.75) * height), int(rng.uniform(0.25, 0.75) * width)
    image, mask = np.empty((height, width, 3), np.uint8), np.empty((height, width), np.uint8)
    corners = [
        (rows, columns) for rows in (slice(0, y), slice(y, height)) for columns in (slice(0, x), slice(x, width))
    ]
    for part, (rows, columns) in zip(parts, corners, strict=True):
        quarter = (rows.stop - rows.start, columns.stop - columns.start)
        image[rows, columns], mask[rows, columns] = _random_window(part, quarter, rng)
    return image, mask


_GREY = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in the perceived brightness (ITU-R BT.601)."""
_TO_YIQ = np.array([_GREY, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
"""Brightness and two colour axes; rotating the axes changes the hue."""


def _recolour(image: Array, rng: np.random.Generator, augmentation: Augmentation) -> Array:
    """Change the colours of an image; hue, saturation and brightness are combined in one 3×3 matrix."""
    a = augmentation
    if not (a.brightness or a.contrast or a.saturation or a.hue or a.random_colours or a.noise):
        return image
    brightness, contrast, saturation = (
        1 + rng.uniform(-1, 1) * strength for strength in (a.brightness, a.contrast, a.saturation)
    )
    angle = 2 * np.pi * a.hue * rng.uniform(-1, 1)
    if a.random_colours and rng.random() < a.random_colours:
        angle, saturation = np.pi * rng.uniform(-1, 1), 2 * rng.random()
    rotation = saturation * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    colour = np.eye(3)
    colour[1:, 1:] = rotation
    matrix = brightness * np.linalg.inv(_TO_YIQ) @ colour @ _TO_YIQ
    x = image.astype(np.float32) @ matrix.T.astype(np.float32)
    middle = np.float32((x @ _GREY.astype(np.float32)).mean())
    x = (x - middle) * np.float32(contrast) + middle
    if a.noise:
        x += rng.standard_normal(x.shape, dtype=np.float32) * np.float32(255 * a.noise)
    recoloured: Array = np.clip(np.rint(x), 0, 255).astype(np.uint8)
    return recoloured
