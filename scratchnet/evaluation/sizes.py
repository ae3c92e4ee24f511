"""Are small, medium and large objects found equally well? An IoU for every object, averaged by size.

DeconvNet's authors argue that a network with one fixed receptive field breaks what is larger and overlooks what is
smaller (Noh et al. 2015, section 1). The IoU of a class, in which large objects have most pixels, cannot show that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Objects, connected_components, find_objects
from scratchnet.shape_checks import check_mask, check_masks

SMALLEST = 10
"""Regions of fewer pixels are specks of the annotation, not objects."""

EDGES = (0.13, 0.28)
"""Small objects are under the first, large ones from the second: √(pixels of the object's box / pixels of the image).
They cut a range of sizes from 0.06 to 0.6 into three parts of equal ratio."""

BINS = ("small", "medium", "large")


@dataclass(frozen=True)
class ObjectScore:
    """One object and how well it was found.

    Attributes
    ----------
    label : int
        Its class.
    size : float
        √(pixels of its box / pixels of the image): 0.5 for a square object half as wide as a square image.
    iou : float
    """

    label: int
    size: float
    iou: float


def object_scores(
    truth: Array, prediction: Array, objects: Objects, ignore_index: int | None = 255
) -> list[ObjectScore]:
    """Return the IoU of every object in one image.

    A prediction says which pixels are of class c, not of which object. With O the pixels of an object of class c, and
    P those of every connected region of predicted class c that touches O, but without the pixels that are of class c
    in truth outside O (they are found for another object) and without ignored ones:

        IoU = |O ∩ P| / |O ∪ P|

    So what grows over the object's outline counts against it, a false alarm elsewhere does not, and an object that is
    overlooked has 0.

    Parameters
    ----------
    truth, prediction : (h, w) integers
    objects : Objects
        Of ``truth``.
    ignore_index : int or None
        Value in ``truth`` of pixels that do not count.
    """
    check_masks("object_scores", truth, prediction)
    counted = np.ones(truth.shape, bool) if ignore_index is None else truth != ignore_index
    found = connected_components(_above_zero(prediction))
    # How many pixels of every predicted region are certainly wrong.
    wrong = np.bincount(found[counted & (truth != prediction)], minlength=int(found.max()) + 1)
    scores = []
    for number, box in objects.boxes.items():
        inside = objects.numbers[box.slices] == number
        hit = inside & (prediction[box.slices] == objects.labels[number])
        union = int(inside.sum()) + int(wrong[np.unique(found[box.slices][hit])].sum())
        size = (box.height * box.width / truth.size) ** 0.5
        scores.append(ObjectScore(objects.labels[number], size, int(hit.sum()) / union))
    return scores


def regions(truth: Array, background: int | None = 0, ignore_index: int | None = 255) -> Objects:
    """Take every connected region of at least `SMALLEST` pixels for an object, where nothing else tells them apart.

    Parameters
    ----------
    truth : (h, w) integers
    background : int or None
        The class that is no object; None where every class is something (a street scene).
    ignore_index : int or None
        Value of pixels that are no object.
    """
    check_mask("regions", truth)
    ground = np.zeros(truth.shape, bool)
    for value in (background, ignore_index):
        ground |= truth == (-1 if value is None else value)
    found = find_objects(np.where(ground, 0, _above_zero(truth)), None)
    pixels = np.bincount(found.numbers.reshape(-1))
    kept = {number: box for number, box in found.boxes.items() if pixels[number] >= SMALLEST}
    return Objects(found.numbers, {number: found.labels[number] - 1 for number in kept}, kept)


@dataclass(frozen=True)
class SizeBin:
    """Objects of like size: how many there are, and the mean of their IoUs (nan without an object)."""

    objects: int
    iou: float


def size_table(scores: Sequence[ObjectScore], edges: tuple[float, float] = EDGES) -> dict[str, SizeBin]:
    """Sort objects into "small", "medium" and "large".

    >>> size_table([ObjectScore(1, 0.1, 0.5), ObjectScore(1, 0.1, 0.7), ObjectScore(2, 0.5, 0.9)])["small"]
    SizeBin(objects=2, iou=0.6)
    """
    ious = np.array([s.iou for s in scores])
    place = np.searchsorted(edges, np.array([s.size for s in scores]), side="right")
    bins = {name: ious[place == i] for i, name in enumerate(BINS)}
    return {
        name: SizeBin(len(inside), float(inside.mean()) if len(inside) else np.nan) for name, inside in bins.items()
    }


def _above_zero(labels: Array) -> Array:
    """Return class + 1: 0 stands for the ground between regions, but class 0 has regions too."""
    raised: Array = labels.astype(np.int16) + 1
    return raised
