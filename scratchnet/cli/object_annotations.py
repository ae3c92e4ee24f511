"""The annotated objects of a data set's images, for metrics by object size."""

from collections.abc import Callable
from pathlib import Path

from scratchnet.arrays import Array
from scratchnet.cli.datasets import open_boxes
from scratchnet.data import Dataset, Objects, find_objects
from scratchnet.utils.errors import UserError


def objects_of(root: Path, images: Dataset) -> Callable[[str, Array], Objects] | None:
    """Return a function (name of an image, its mask) → its objects.

    Objects are separated by the numbers in ``objects/`` if every image has them, else by the boxes in ``boxes.csv``.

    Returns
    -------
    callable or None
        None if the data set has neither.

    Raises
    ------
    UserError
        When ``boxes.csv`` cannot be read; by the function, when a file of object numbers has the wrong size.
    """
    index = {name: i for i, name in enumerate(images.names)}
    if all(sample.objects is not None for sample in images.samples):

        def numbered(name: str, mask: Array) -> Objects:
            numbers = images.load_instances(index[name])
            if numbers is None or numbers.shape != mask.shape:
                path = images.samples[index[name]].objects
                raise UserError(f"{path}: has another size than its image; `scratchnet data check` lists all problems")
            return find_objects(mask, images.ignore_index, instances=numbers)

        return numbered
    boxes = open_boxes(root, images.classes, images.names)
    if not boxes:
        return None
    return lambda name, mask: find_objects(mask, images.ignore_index, boxes=boxes.get(name, ()))
