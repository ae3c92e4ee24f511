"""Separation of the objects in a mask, by an instance mask, by boxes, or into connected regions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.objects.box_annotations import ObjectBox
from scratchnet.data.objects.components import bounding_boxes, connected_components
from scratchnet.data.tiling import Window
from scratchnet.utils.shape_checks import check_mask


class Objects(NamedTuple):
    """The objects of one image.

    Attributes
    ----------
    instances : (h, w) integers
        Object that each pixel belongs to, 1, 2, …; 0 for none.
    labels : dict of int to int
        Class of each object.
    boxes : dict of int to Window
        Box of each object.
    """

    instances: Array
    labels: dict[int, int]
    boxes: dict[int, Window]


def find_objects(
    mask: Array,
    ignore_index: int | None = 255,
    instances: Array | None = None,
    boxes: Sequence[ObjectBox] | None = None,
) -> Objects:
    """Separate the objects of a mask; background (class 0) and ignored pixels belong to no object.

    Parameters
    ----------
    mask : (h, w) uint8
        Class indices.
    ignore_index : int or None
    instances : (h, w) uint8 or None
        Instance mask; 0 and 255 are no object. The class of an object is that of most of its pixels.
    boxes : sequence of ObjectBox or None
        Used without ``instances``: an object is the pixels of its class within its box. Pixels in several boxes of one
        class belong to the smallest.

    Returns
    -------
    Objects
        Without ``instances`` and ``boxes``, the connected regions of one class.
    """
    check_mask("find_objects", mask)
    classes = mask if ignore_index is None else np.where(mask == ignore_index, 0, mask).astype(np.uint8)
    if instances is not None:
        check_mask("find_objects", instances, "an instance mask")
        if instances.shape != mask.shape:
            raise ValueError(f"find_objects: the mask has shape {mask.shape}, the instance mask {instances.shape}")
        return _labelled(np.where((instances == 255) | (classes == 0), 0, instances), classes)
    return _labelled(connected_components(classes), classes) if boxes is None else _in_boxes(classes, boxes)


def _labelled(numbers: Array, classes: Array) -> Objects:
    """Return numbered regions as objects of the class of most of their pixels."""
    boxes = bounding_boxes(numbers)
    labels = {
        number: int(np.bincount(classes[box.slices][numbers[box.slices] == number]).argmax())
        for number, box in boxes.items()
    }
    return Objects(numbers, labels, boxes)


def _in_boxes(mask: Array, boxes: Sequence[ObjectBox]) -> Objects:
    """Assign the pixels of a class to the smallest box of that class around them."""
    numbers = np.zeros(mask.shape, np.int32)
    order = sorted(range(len(boxes)), key=lambda i: -boxes[i].box.height * boxes[i].box.width)
    for i in order:
        inside = boxes[i].box.slices
        numbers[inside][mask[inside] == boxes[i].label] = i + 1
    kept = [number for number in np.unique(numbers).tolist() if number]
    return Objects(numbers, {n: boxes[n - 1].label for n in kept}, {n: boxes[n - 1].box for n in kept})
