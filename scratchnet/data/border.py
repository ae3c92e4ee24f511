"""Black borders, as around the field of view of a microscope, for data augmentation."""

import numpy as np

from scratchnet.arrays import Array

MAX_BLACK = 30
"""Largest value of a colour of the border."""
FRINGE = 0.8
"""Lenses fade colours unequally: the light of each is raised to a power from exp(−0.8) to exp(0.8)."""
SOFTNESS = (0.004, 0.125)
"""Range of the width over which an image fades to black, as a fraction of its shorter side."""
RADIUS = (0.75, 3.0)
"""Range of the radius of a round edge, as a multiple of the longer side."""


def cover_border(image: Array, mask: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Black out what lies beyond a random edge, which is straight and parallel to a side, or part of a circle.

    The edge keeps at least about half of the image. It fades over a random width: the edge of a picture on a black
    ground is sharp, that of a microscope's field of view is not, and may be coloured.

    Parameters
    ----------
    image : (h, w, 3) uint8
    mask : (h, w) uint8
        Becomes 0 where less than half of the light is left.
    rng : numpy Generator
        The only source of randomness.

    Returns
    -------
    image, mask
        Copies in the same size.
    """
    size = np.array(mask.shape)
    inside = _distance_inside(size, rng)
    softness = np.exp(rng.uniform(*np.log(SOFTNESS))) * size.min()
    light = np.clip(0.5 + inside / softness, 0, 1).astype(np.float32)
    powers = np.exp(rng.uniform(-FRINGE, FRINGE, 3)).astype(np.float32)
    black = rng.uniform(0, MAX_BLACK, 3).astype(np.float32)
    covered = black + (image - black) * light[:, :, None] ** powers
    return np.rint(covered).astype(np.uint8), np.where(light < 0.5, 0, mask).astype(np.uint8)


def _distance_inside(size: Array, rng: np.random.Generator) -> Array:
    """Return the distance in pixels of every pixel (h, w) from a random edge, negative beyond it."""
    y, x = np.ogrid[: size[0], : size[1]]
    middle = (size - 1) / 2
    is_round = rng.random() < 0.5
    angle = rng.uniform(0, 2 * np.pi) if is_round else np.pi / 2 * rng.integers(4)
    outward = np.array([np.sin(angle), np.cos(angle)])
    edge = middle + outward * size / 2 * rng.uniform(0.1, 1)
    if not is_round:
        flat: Array = outward[0] * (edge[0] - y) + outward[1] * (edge[1] - x)
        return flat
    radius = rng.uniform(*RADIUS) * size.max()
    centre = edge - radius * outward
    curved: Array = radius - np.hypot(y - centre[0], x - centre[1])
    return curved
