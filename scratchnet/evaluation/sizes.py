"""IoU per object, averaged over small, medium and large objects.

DeconvNet's authors argue that a network with one fixed receptive field fragments larger objects and misses smaller ones
(Noh et al. 2015, section 1). The IoU of a class does not show this, because large objects dominate it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Objects, connected_components, find_objects
from scratchnet.utils.shape_checks import check_mask, check_masks

MIN_OBJECT_PIXELS = 10
"""Minimum number of pixels of an object; smaller regions are annotation noise."""

SIZE_EDGES = (0.13, 0.28)
"""Upper size limits of small and medium objects, where size is √(pixels of the object's box / pixels of the image).
They divide the range 0.06 to 0.6 into three parts of equal ratio."""

SIZE_BINS = ("small", "medium", "large")


@dataclass(frozen=True)
class ObjectScore:
    """Score of one object.

    Attributes
    ----------
    label : int
        Class of the object.
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

    A prediction gives the class of a pixel, not its object. Let O be the pixels of an object of class c, and P those of
    all connected regions of predicted class c that touch O, without pixels of true class c outside O (they belong to
    another object) and without ignored pixels:

        IoU = |O ∩ P| / |O ∪ P|

    Pixels beyond the object's outline thus lower its score, false positives elsewhere do not, and a missed object
    scores 0.

    Parameters
    ----------
    truth, prediction : (h, w) integers
    objects : Objects
        Objects of ``truth``.
    ignore_index : int or None
        Value in ``truth`` of ignored pixels.
    """
    check_masks("object_scores", truth, prediction)
    counted = np.ones(truth.shape, bool) if ignore_index is None else truth != ignore_index
    found = connected_components(_above_zero(prediction))
    # Number of wrong pixels in each predicted region.
    wrong = np.bincount(found[counted & (truth != prediction)], minlength=int(found.max()) + 1)
    scores = []
    for number, box in objects.boxes.items():
        inside = objects.instances[box.slices] == number
        hit = inside & (prediction[box.slices] == objects.labels[number])
        union = int(inside.sum()) + int(wrong[np.unique(found[box.slices][hit])].sum())
        size = (box.height * box.width / truth.size) ** 0.5
        scores.append(ObjectScore(objects.labels[number], size, int(hit.sum()) / union))
    return scores


def regions(truth: Array, background: int | None = 0, ignore_index: int | None = 255) -> Objects:
    """Return connected regions of at least `MIN_OBJECT_PIXELS` pixels as objects, for data without object annotations.

    Parameters
    ----------
    truth : (h, w) integers
    background : int or None
        Class that is not an object; None if there is no such class (a street scene).
    ignore_index : int or None
        Value of ignored pixels.
    """
    check_mask("regions", truth)
    ground = np.zeros(truth.shape, bool)
    for value in (background, ignore_index):
        ground |= truth == (-1 if value is None else value)
    found = find_objects(np.where(ground, 0, _above_zero(truth)), None)
    pixels = np.bincount(found.instances.reshape(-1))
    kept = {number: box for number, box in found.boxes.items() if pixels[number] >= MIN_OBJECT_PIXELS}
    return Objects(found.instances, {number: found.labels[number] - 1 for number in kept}, kept)


@dataclass(frozen=True)
class SizeBin:
    """Number and mean IoU of the objects of one size class (nan without objects)."""

    objects: int
    iou: float


def size_table(scores: Sequence[ObjectScore], edges: tuple[float, float] = SIZE_EDGES) -> dict[str, SizeBin]:
    """Group scores into "small", "medium" and "large" objects.

    >>> size_table([ObjectScore(1, 0.1, 0.5), ObjectScore(1, 0.1, 0.7), ObjectScore(2, 0.5, 0.9)])["small"]
    SizeBin(objects=2, iou=0.6)
    """
    ious = np.array([s.iou for s in scores])
    place = np.searchsorted(edges, np.array([s.size for s in scores]), side="right")
    bins = {name: ious[place == i] for i, name in enumerate(SIZE_BINS)}
    return {
        name: SizeBin(len(inside), float(inside.mean()) if len(inside) else np.nan) for name, inside in bins.items()
    }


def _above_zero(labels: Array) -> Array:
    """Return class + 1, because 0 means no region but class 0 has regions too."""
    raised: Array = labels.astype(np.int16) + 1
    return raised
