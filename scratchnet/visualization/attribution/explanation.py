"""Four answers to the question why a pixel got its class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array, to_host
from scratchnet.losses import probabilities
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.utils.errors import UserError
from scratchnet.visualization.attribution.occlusion import OcclusionGrid, occlusion, occlusion_grid
from scratchnet.visualization.attribution.projection import projections, unknown_steps
from scratchnet.visualization.attribution.unit import Unit, class_score
from scratchnet.visualization.explorer.image_crop import ImageCrop

ANSWERS = ("deconvnet", "guided", "gradient", "occlusion")
"""The four methods, in the order in which they are shown."""


@dataclass(frozen=True)
class Explanation:
    """A pixel, a class, and one map for each method.

    Attributes
    ----------
    photo : (h, w, 3) uint8
        The part of the image that the maps cover.
    mask : (h', w') uint8
        The classes that the network predicts, from the top left corner of the photo.
    pixel : (row, column)
        In the photo.
    wanted : int
        The explained class.
    predicted : int
        The pixel's most probable class.
    score, probability : float
        Of the explained class at the pixel.
    maps : mapping of str to (h, w) array
        By method, positive where the image speaks for the class. The three projections are summed over the colours.
    grid : OcclusionGrid
        The positions of the patch, over the network's input.
    unknown : sequence of str
        Steps whose ReLU, if there is one, could not be treated as the method requires.
    """

    photo: Array
    mask: Array
    pixel: Pair
    wanted: int
    predicted: int
    score: float
    probability: float
    maps: Mapping[str, Array]
    grid: OcclusionGrid
    unknown: Sequence[str]


def explain_pixel(
    network: Network, crop: ImageCrop, pixel: Pair | None = None, wanted: int | None = None
) -> Explanation:
    """Explain the score of a class at a pixel by the four methods; the network does not change.

    Parameters
    ----------
    network : Network
        In evaluation mode.
    crop : ImageCrop
    pixel : (row, column) or None
        In the crop. None: the pixel with the highest probability of the class.
    wanted : int or None
        Index of the class. None: the most probable one at the pixel or, without a pixel, the most frequent class except
        class 0.

    Raises
    ------
    UserError
        If the pixel is outside or a step has no backward pass.
    """
    (h, w), size = crop.size, (crop.x.shape[1], crop.x.shape[2])
    scores = to_host(network.forward(crop.x, keep=False))[:, :h, :w]
    p: Array = probabilities(scores)[0]
    pixel, wanted = _choose(p, pixel, wanted)
    unit = class_score(network, pixel, wanted, size)
    maps, margin = _maps(network, crop.x, unit, occlusion_grid(size)), network.valid_margin
    shown = slice(margin, margin + h), slice(margin, margin + w)
    return Explanation(
        photo=crop.photo[shown],
        mask=p.argmax(axis=2).astype(np.uint8),
        pixel=pixel,
        wanted=wanted,
        predicted=int(p[pixel].argmax()),
        score=float(unit.values(scores)[0]),
        probability=float(p[pixel][wanted]),
        maps={name: maps[name][shown] for name in ANSWERS},
        grid=occlusion_grid(size),
        unknown=unknown_steps(network),
    )


def _maps(network: Network, x: Array, unit: Unit, grid: OcclusionGrid) -> dict[str, Array]:
    """Return the map (h, w) of each method."""
    maps: dict[str, Array] = {}
    for method, signal in projections(network, x, unit).items():  # may refuse the network, so it comes first
        maps[method] = to_host(signal).sum(axis=2)
    maps["occlusion"] = occlusion(network, x, unit, grid)
    return maps


def _choose(p: Array, pixel: Pair | None, wanted: int | None) -> tuple[Pair, int]:
    """Return the pixel and the class to explain, given the probabilities (h, w, classes)."""
    if pixel is not None and not all(0 <= at < length for at, length in zip(pixel, p.shape, strict=False)):
        raise UserError(
            f"pixel {pixel[0]} {pixel[1]}: the network labels rows 0 to {p.shape[0] - 1}, columns 0 to {p.shape[1] - 1}"
        )
    if wanted is None and pixel is not None:
        wanted = int(p[pixel].argmax())
    elif wanted is None:
        frequent = np.bincount(p.argmax(axis=2).ravel(), minlength=p.shape[2])
        wanted = int(frequent[1:].argmax()) + 1 if frequent[1:].any() else 0
    if pixel is None:
        row, column = np.unravel_index(int(p[:, :, wanted].argmax()), p.shape[:2])
        pixel = int(row), int(column)
    return pixel, wanted
