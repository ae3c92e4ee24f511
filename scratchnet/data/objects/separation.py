"""Which pixels belong to one object: told by a file of numbered objects, by boxes, or by connected regions."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.file_names import match_names
from scratchnet.data.objects.components import bounding_boxes, connected_components
from scratchnet.data.text_files import read_table
from scratchnet.data.tiling import Window
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write
from scratchnet.utils.shape_checks import check_mask

BOXES_FILE = "boxes.csv"
"""Name of the file of boxes at the root of a set."""

BOX_COLUMNS = ("image", "class", "x0", "y0", "x1", "y1", "size")
"""Its columns. Left and top pixel are the first inside, x1 and y1 the first outside; ``size`` may be left out."""


@dataclass(frozen=True)
class ObjectBox:
    """A line of ``boxes.csv``.

    Attributes
    ----------
    image : str
        Name of the sample.
    label : int
        Class of the object.
    box : Window
        Round what is to be seen of it.
    size : float or None
        Diameter of a disc of the object's area in pixels, hidden parts included, where that is known.
    """

    image: str
    label: int
    box: Window
    size: float | None = None


def write_boxes(path: Path, boxes: Iterable[ObjectBox], classes: Sequence[str]) -> None:
    """Write ``boxes.csv``."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(BOX_COLUMNS)
    for b in boxes:
        top, left, height, width = b.box
        size = "" if b.size is None else f"{b.size:.2f}"
        writer.writerow([b.image, classes[b.label], left, top, left + width, top + height, size])
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def read_boxes(path: Path, classes: Sequence[str]) -> tuple[list[ObjectBox], list[str]]:
    """Read ``boxes.csv``.

    Parameters
    ----------
    path : Path
    classes : sequence of str
        Names of the classes; the file names them, or gives their index.

    Returns
    -------
    boxes : list of ObjectBox
        In the order of the file.
    problems : list of str
        One line for every row that cannot be read.

    Raises
    ------
    UserError
        When the file is no text, or lacks a column.
    """
    columns, rows = read_table(path)
    missing = [name for name in BOX_COLUMNS[:-1] if name not in columns]
    if missing:
        raise UserError(f"{path}: has no column {', '.join(missing)}; its first line must be {','.join(BOX_COLUMNS)}")
    indices = {name: index for index, name in enumerate(classes)} | {str(i): i for i in range(len(classes))}
    boxes, problems = [], []
    for line, row in rows:
        where = f"{path}, line {line}"
        try:
            left, top, right, bottom = (int(row[name]) for name in ("x0", "y0", "x1", "y1"))
            size = float(row["size"]) if row.get("size") else None
        except (TypeError, ValueError):
            problems.append(f"{where}: expected whole numbers x0, y0, x1, y1 and a number or nothing as size")
            continue
        if row["class"] not in indices:
            problems.append(f"{where}: there is no class {row['class']!r}; choose one of {', '.join(classes)}")
        elif not (0 <= left < right and 0 <= top < bottom):
            problems.append(f"{where}: expected 0 ≤ x0 < x1 and 0 ≤ y0 < y1, got {left}, {top}, {right}, {bottom}")
        else:
            box = Window(top, left, bottom - top, right - left)
            boxes.append(ObjectBox(row["image"], indices[row["class"]], box, size))
    return boxes, problems


def group_by_image(
    boxes: Iterable[ObjectBox], names: Iterable[str] = (), where: str = BOXES_FILE
) -> dict[str, list[ObjectBox]]:
    """Return the boxes of every image by its name.

    Parameters
    ----------
    boxes : iterable of ObjectBox
    names : iterable of str
        Of the images; boxes of a name that looks the same as one of these (``A.jpg``, ``a``) come under it.
    where : str
        For the message of the UserError when names cannot be told apart.
    """
    groups: dict[str, list[ObjectBox]] = {}
    for box in boxes:
        groups.setdefault(box.image, []).append(box)
    own_name = {other: name for name, other in match_names(names, groups, where).items()}
    return {own_name.get(name, name): group for name, group in groups.items()}


class Objects(NamedTuple):
    """The objects of one image.

    Attributes
    ----------
    instances : (h, w) integers
        Object that each pixel belongs to, 1, 2, …; 0 for none.
    labels : dict of int to int
        Class of every object.
    boxes : dict of int to Window
        Box of every object.
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
    """Tell the objects of a mask apart.

    Class 0 is the ground and holds no objects, nor do ignored pixels.

    Parameters
    ----------
    mask : (h, w) uint8
        Classes.
    ignore_index : int or None
    instances : (h, w) uint8 or None
        Numbers of the objects, where a file gives them; 0 and 255 are no object. An object has the class that most of
        its pixels have.
    boxes : sequence of ObjectBox or None
        Used without ``instances``: an object is the pixels of its class within its box, and what lies in several boxes
        of one class belongs to the smallest.

    Returns
    -------
    Objects
        Without ``instances`` and ``boxes`` every connected region of one class is an object.
    """
    check_mask("find_objects", mask)
    if instances is not None:
        check_mask("find_objects", instances, "numbers of objects")
        if instances.shape != mask.shape:
            raise ValueError(f"find_objects: the mask has shape {mask.shape}, the numbers {instances.shape}")
    counted = mask if ignore_index is None else np.where(mask == ignore_index, 0, mask).astype(np.uint8)
    if instances is not None:
        numbers = np.where((instances == 255) | (counted == 0), 0, instances)
    elif boxes is not None:
        return _in_boxes(counted, boxes)
    else:
        numbers = connected_components(counted)
    found = bounding_boxes(numbers)
    labels = {
        number: int(np.bincount(counted[box.slices][numbers[box.slices] == number]).argmax())
        for number, box in found.items()
    }
    return Objects(numbers, labels, found)


def _in_boxes(mask: Array, boxes: Sequence[ObjectBox]) -> Objects:
    """Give the pixels of a class to the smallest box of that class round them."""
    numbers = np.zeros(mask.shape, np.int32)
    order = sorted(range(len(boxes)), key=lambda i: -boxes[i].box.height * boxes[i].box.width)
    for i in order:
        inside = boxes[i].box.slices
        numbers[inside][mask[inside] == boxes[i].label] = i + 1
    left = np.unique(numbers).tolist()
    kept = [number for number in left if number]
    return Objects(numbers, {n: boxes[n - 1].label for n in kept}, {n: boxes[n - 1].box for n in kept})
