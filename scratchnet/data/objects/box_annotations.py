"""Reading and writing ``boxes.csv``, the bounding boxes of the objects of a data set."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scratchnet.data.file_names import match_names
from scratchnet.data.text_files import read_table
from scratchnet.data.tiling import Window
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write

BOXES_FILE = "boxes.csv"
"""Name of the file of boxes at the root of a data set."""

BOX_COLUMNS = ("image", "class", "x0", "y0", "x1", "y1", "size")
"""Its columns. x0 and y0 are the first pixel inside the box, x1 and y1 the first outside; ``size`` is optional."""


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
        Bounding box of its visible part.
    size : float or None
        Diameter in pixels of a disc with the area of the object, including hidden parts, if known.
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
        Names of the classes; the file contains names or indices of classes.

    Returns
    -------
    boxes : list of ObjectBox
        In the order of the file.
    problems : list of str
        One message for every invalid row.

    Raises
    ------
    UserError
        When the file is not text, or lacks a column.
    """
    columns, rows = read_table(path)
    missing = [name for name in BOX_COLUMNS[:-1] if name not in columns]
    if missing:
        raise UserError(f"{path}: has no column {', '.join(missing)}; its first line must be {','.join(BOX_COLUMNS)}")
    indices = {name: index for index, name in enumerate(classes)} | {str(i): i for i in range(len(classes))}
    boxes, problems = [], []
    for line, row in rows:
        result = _parse_box(row, classes, indices)
        if isinstance(result, str):
            problems.append(f"{path}, line {line}: {result}")
        else:
            boxes.append(result)
    return boxes, problems


def _parse_box(row: Mapping[str, str], classes: Sequence[str], indices: Mapping[str, int]) -> ObjectBox | str:
    """Return the box of a row, or its problem as text; ``indices`` are the class indices by name or number."""
    try:
        left, top, right, bottom = (int(row[name]) for name in ("x0", "y0", "x1", "y1"))
        size = float(row["size"]) if row.get("size") else None
    except (TypeError, ValueError):
        return "expected whole numbers x0, y0, x1, y1 and a number or nothing as size"
    if row["class"] not in indices:
        return f"there is no class {row['class']!r}; choose one of {', '.join(classes)}"
    if not (0 <= left < right and 0 <= top < bottom):
        return f"expected 0 ≤ x0 < x1 and 0 ≤ y0 < y1, got {left}, {top}, {right}, {bottom}"
    return ObjectBox(row["image"], indices[row["class"]], Window(top, left, bottom - top, right - left), size)


def group_by_image(
    boxes: Iterable[ObjectBox], names: Iterable[str] = (), where: str = BOXES_FILE
) -> dict[str, list[ObjectBox]]:
    """Return the boxes by image name.

    Parameters
    ----------
    boxes : iterable of ObjectBox
    names : iterable of str
        Names of the images, which also match names that look the same (``A.jpg``, ``a``).
    where : str
        Beginning of the message of the UserError if names are ambiguous.
    """
    groups: dict[str, list[ObjectBox]] = {}
    for box in boxes:
        groups.setdefault(box.image, []).append(box)
    image_name = {other: name for name, other in match_names(names, groups, where).items()}
    return {image_name.get(name, name): group for name, group in groups.items()}
