"""Telling the objects of a set's images apart, for measures by size."""

from collections.abc import Callable
from pathlib import Path

from scratchnet.arrays import Array
from scratchnet.cli.sources import open_boxes
from scratchnet.data import Dataset, Objects, find_objects
from scratchnet.utils.errors import UserError


def objects_of(root: Path, images: Dataset) -> Callable[[str, Array], Objects] | None:
    """Return (name of an image, its mask) → its objects: as numbered in a file, else as boxed in ``boxes.csv``.

    None where the set has neither, or one for some images only.

    Raises
    ------
    UserError
        When ``boxes.csv`` cannot be read; later, when a file of numbers is not of its image's size.
    """
    index = {name: i for i, name in enumerate(images.names)}
    if all(sample.objects is not None for sample in images.samples):

        def numbered(name: str, mask: Array) -> Objects:
            numbers = images.load_objects(index[name])
            if numbers is None or numbers.shape != mask.shape:
                path = images.samples[index[name]].objects
                raise UserError(f"{path}: is not of the size of its image; `scratchnet data check` tells more")
            return find_objects(mask, images.ignore_index, instances=numbers)

        return numbered
    boxes = open_boxes(root, images.classes, images.names)
    if not boxes:
        return None
    return lambda name, mask: find_objects(mask, images.ignore_index, boxes=boxes.get(name, ()))
