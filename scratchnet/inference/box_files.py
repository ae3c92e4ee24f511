"""Object proposals from a CSV or JSON file."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scratchnet.arrays import Array
from scratchnet.data.objects.box_sampling import enlarged
from scratchnet.data.text_files import read_json, read_table
from scratchnet.data.tiling import Window
from scratchnet.inference.boxes import Proposals
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import for_caller
from scratchnet.utils.wording import pixels

PROPOSAL_COLUMNS = ("image", "x0", "y0", "x1", "y1")
"""Columns required in a file of boxes: x0 ≤ x < x1, y0 ≤ y < y1. ``score`` is optional; others are ignored."""


def proposals_from_file(path: Path | str, context: float = 1.0) -> Proposals:
    """Return the proposals in a CSV or JSON file.

    A CSV file has a header with `PROPOSAL_COLUMNS` and optionally ``score``; a JSON file is a list of objects with
    these keys. ``image`` is the image's file name, with or without its extension. Boxes of higher score come first;
    without scores they keep the order of the file. A box may extend beyond its image, at most by the image's width and
    height.

    Parameters
    ----------
    path : Path or str
    context : float
        Factor on each box's height and width, to include an object's surroundings.

    Raises
    ------
    UserError
        If the file cannot be read; and, when proposals for an image are requested, if the file has none or one of them
        is outside the image.
    """
    path = Path(path)
    boxes: dict[str, list[tuple[float, Window]]] = {}
    for where, row in _rows(path):
        name, score, box = _parse(where, row)
        boxes.setdefault(Path(name).stem, []).append((score, box))

    def proposals(name: str, image: Array) -> Sequence[Window]:
        found = boxes.get(name)
        if not found:
            grid = for_caller("--proposals grid", "proposals_from_grid")
            raise UserError(f"{path}: has no box for the image {name}; add one, or use {grid}")
        ordered = [box for _, box in sorted(found, key=lambda pair: -pair[0])]
        for box in ordered:
            _check_place(path, name, box, *image.shape[:2])
        return [enlarged(box, context) for box in ordered]

    return proposals


def _rows(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """Return every row of a file of boxes, with its position for messages."""
    rows: list[tuple[str, Mapping[str, Any]]]
    if path.suffix.lower() == ".json":
        entries = read_json(path, "a list of boxes")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(
                f"{path}: expected a list of boxes, each an object with the keys {', '.join(PROPOSAL_COLUMNS)}"
            )
        rows = [(f"{path}, box {number}", entry) for number, entry in enumerate(entries, 1)]
    else:
        columns, lines = read_table(path)
        rows = [(f"{path}, line {line}", row) for line, row in lines]
        if not set(PROPOSAL_COLUMNS) <= set(columns):
            raise UserError(
                f"{path}: its first line must name the columns {','.join(PROPOSAL_COLUMNS)} and, optionally, score"
            )
    if not rows:
        raise UserError(f"{path}: contains no boxes; write one per line")
    return rows


def _parse(where: str, row: Mapping[str, Any]) -> tuple[str, float, Window]:
    """Return an image's name, a score and a box."""
    try:
        left, top, right, bottom = (round(float(row[name])) for name in PROPOSAL_COLUMNS[1:])
        score, name = float(row.get("score") or 0), str(row["image"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{where}: expected an image's name, x0, y0, x1, y1 and, optionally, a score") from error
    if not math.isfinite(score):
        raise UserError(f"{where}: expected a finite score, got {score}")
    if not (left < right and top < bottom):
        raise UserError(f"{where}: expected x0 < x1 and y0 < y1, got {left}, {top}, {right}, {bottom}")
    return name, score, Window(top, left, bottom - top, right - left)


def _check_place(path: Path, name: str, box: Window, h: int, w: int) -> None:
    """Raise a UserError for a box that is outside its image or much larger."""
    inside = -box.height < box.top < h and -box.width < box.left < w
    near = box.top >= -h and box.left >= -w and box.top + box.height <= 2 * h and box.left + box.width <= 2 * w
    if not (inside and near):
        span = f"x {box.left} to {box.left + box.width}, y {box.top} to {box.top + box.height}"
        raise UserError(f"{path}: a box of {name} ({span}) is outside the image of {pixels(h, w)}; correct it")
