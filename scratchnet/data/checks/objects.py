"""Checks of the object annotations of a data set: ``boxes.csv`` and instance masks."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.file_names import find_entry
from scratchnet.data.folders import Dataset
from scratchnet.data.objects.box_annotations import BOXES_FILE, ObjectBox, group_by_image, read_boxes
from scratchnet.utils.errors import UserError
from scratchnet.utils.wording import pixels


class ObjectFindings:
    """The object annotations of a data set, read once and compared with its masks one by one.

    Parameters
    ----------
    root : Path
        Root of the data set.
    classes : sequence of str
        Names of the classes.
    names : sequence of str
        Names of the images.

    Attributes
    ----------
    boxes : dict of str to list of ObjectBox
        Boxes by image name; empty without ``boxes.csv``.
    problems : list of str
        One message for every problem.
    objects_in_masks : int
        Number of objects in the instance masks compared so far.
    """

    def __init__(self, root: Path, classes: Sequence[str], names: Sequence[str] = ()) -> None:
        self.path, self.classes = find_entry(root, BOXES_FILE), classes
        self.boxes: dict[str, list[ObjectBox]] = {}
        self.problems: list[str] = []
        self.objects_in_masks = 0
        if self.path.exists():
            try:
                rows, self.problems = read_boxes(self.path, classes)
                self.boxes = group_by_image(rows, names, str(self.path))
            except UserError as error:
                self.problems.append(str(error))

    def compare_names(self, names: Collection[str]) -> None:
        """Report boxes of images that do not exist."""
        for name in sorted(self.boxes.keys() - set(names)):
            self.problems.append(f"{self.path}: has boxes for {name!r}, but there is no such image; remove the lines")

    def compare(self, dataset: Dataset, index: int, mask: Array) -> None:
        """Compare an image's boxes and instance mask with its mask (h, w)."""
        sample = dataset.samples[index]
        height, width = mask.shape
        for b in self.boxes.get(sample.name, ()):
            top, left, h, w = b.box
            where = (
                f"{self.path}: {sample.name}, {self.classes[b.label]} at x {left} to {left + w}, y {top} to {top + h}"
            )
            if top + h > height or left + w > width:
                self.problems.append(f"{where}: reaches beyond the image of {pixels(height, width)}; correct the box")
            elif not (mask[b.box.slices] == b.label).any():
                self.problems.append(f"{where}: the mask has no pixel of that class there; correct the box or the mask")
        try:
            instances = dataset.load_instances(index)
        except UserError as error:
            self.problems.append(str(error))
            return
        if instances is None:
            return
        if instances.shape != mask.shape:
            h, w = instances.shape
            self.problems.append(
                f"{sample.objects} is {h}×{w} but its image {height}×{width} pixels (height × width); "
                "export it in the same size"
            )
        self.objects_in_masks += len(np.setdiff1d(instances, (0, 255)))

    def lines(self) -> list[str]:
        """Return a summary of the annotations as lines of text."""
        lines = []
        if rows := [b for boxes in self.boxes.values() for b in boxes]:
            per_class = Counter(self.classes[b.label] for b in rows)
            counts = ", ".join(f"{name} {per_class[name]}" for name in self.classes if per_class[name])
            sides = [max(b.box.height, b.box.width) for b in rows]
            lines.append(f"{BOXES_FILE}: {len(rows)} boxes of {min(sides)} to {max(sides)} pixels ({counts})")
        if self.objects_in_masks:
            lines.append(f"objects in instance masks: {self.objects_in_masks}")
        return lines
