"""Exports of labelme: one JSON file per image, with shapes in pixels."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data.importing.json_files import read_object
from scratchnet.data.importing.labels import (
    Entry,
    Export,
    LabelledImage,
    Region,
    assign_classes,
    corners,
)
from scratchnet.data.importing.shapes import Bitmap, Disc, Polygon, Shape
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

EXPECTED = "a labelme file with shapes and imagePath"


def is_labelme(content: Any) -> bool:
    """Return whether the content of a JSON file is labelme's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read_labelme(paths: Sequence[Path], classes: Sequence[str] | None, images: Path | None) -> Export:
    """Read labelme's JSON files; without ``classes``, the labels are sorted by name.

    Parameters
    ----------
    paths : sequence of Path
    classes : sequence of str or None
        Names of the classes, background first.
    images : Path or None
        Folder of the images; None: the paths in the files.
    """
    labels: set[str] = set()
    problems, readable = [], []
    for path in paths:
        try:
            labels |= {_label(shape) for shape in _shapes(path)[1] if _has_area(shape)}
            readable.append(path)
        except UserError as error:
            problems.append(_with_path(path, error))
    if not readable:
        raise UserError(f"{problems[0]}; no labelme file could be read")
    names, values = assign_classes(sorted(labels), classes)
    entries = [Entry(path.stem, partial(_load, path, values, images)) for path in readable]
    return Export(f"labelme: {len(paths)} JSON file{'s' * (len(paths) != 1)}", names, entries, problems)


def _with_path(path: Path, error: UserError) -> str:
    return str(error) if str(error).startswith(str(path)) else f"{path}: {error}"


def _shapes(path: Path) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """Return the content of a file and its shapes."""
    content = read_object(path, EXPECTED)
    shapes = content.get("shapes")
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise UserError(f"{path}: has no list of shapes; expected {EXPECTED}")
    return content, shapes


def _label(shape: Mapping[str, Any]) -> str:
    label = shape.get("label")
    if not isinstance(label, str) or not label.strip():
        raise UserError(f"a shape has the label {label!r}, expected a name")
    return label


def _has_area(shape: Mapping[str, Any]) -> bool:
    kind = shape.get("shape_type", "polygon")
    return isinstance(kind, str) and kind in {*_SHAPES, "mask"}


def _load(path: Path, values: Mapping[str, int], images: Path | None) -> LabelledImage:
    try:
        content, shapes = _shapes(path)
        image, suffix = _image(path, content, images)
        size = (content.get("imageHeight"), content.get("imageWidth"))
        return LabelledImage(image, suffix, None if None in size else size, _regions(shapes, values))  # type: ignore[arg-type]
    except UserError as error:
        raise UserError(_with_path(path, error)) from error


def _image(path: Path, content: Mapping[str, Any], images: Path | None) -> tuple[Path | bytes, str]:
    """Return the image file, or the decoded imageData if there is no file, and the suffix of its name."""
    stated = content.get("imagePath")
    stated = stated.replace("\\", "/") if isinstance(stated, str) else ""
    file = path.parent / stated if images is None else images / Path(stated).name
    moved = path.parent / Path(stated).name  # next to its JSON file, wherever it was when it was labelled
    for place in (file, moved) if images is None else (file,):
        if stated and place.is_file():
            return place, place.suffix
    data = content.get("imageData")
    if not isinstance(data, str):
        raise UserError(f"has no image: no file {file} and no imageData; pass {option('images')}")
    try:
        decoded = base64.b64decode(data)
    except (binascii.Error, ValueError) as error:
        raise UserError("its imageData is not base64") from error
    known = {b"\x89PNG": ".png", b"\xff\xd8\xff\xe0": ".jpg", b"\xff\xd8\xff\xe1": ".jpg"}
    return decoded, known.get(decoded[:4], Path(stated).suffix or ".png")


def _regions(shapes: Sequence[Mapping[str, Any]], values: Mapping[str, int]) -> list[Region]:
    """Return a region for every shape; shapes with the same label and group belong to one object."""
    numbers: dict[object, int] = {}
    regions = []
    for index, shape in enumerate(shapes, 1):
        label, group = _label(shape), shape.get("group_id")
        key = index if group is None else (label, str(group))
        number = numbers.setdefault(key, len(numbers) + 1)
        kind = shape.get("shape_type", "polygon")
        if not _has_area(shape):
            area = ", which have an area" if isinstance(kind, str) and re.match("line|point", kind) else ""
            raise UserError(f"shape {index} is of type {kind!r}; expected one of {', '.join(_SHAPES)}, mask{area}")
        if kind == "mask":
            drawn = _mask(shape, index)
        else:
            read, minimum = _SHAPES[kind]
            drawn = read(corners(shape.get("points"), minimum, f"shape {index}"))
        regions.append(Region(values[label], (drawn,), number))
    return regions


def _mask(shape: Mapping[str, Any], index: int) -> Shape:
    """Return the mask of a shape: a PNG in base64, whose upper left pixel is at the first point."""
    left, top = np.rint(corners(shape.get("points"), 1, f"shape {index}")[0]).astype(int)
    try:
        content = base64.b64decode(shape["mask"])
        with Image.open(BytesIO(content), formats=("PNG",)) as image:
            return Bitmap(np.array(image.convert("L")) > 0, int(top), int(left))
    except (KeyError, TypeError, ValueError, OSError, Image.DecompressionBombError) as error:
        raise UserError(f"shape {index}: its mask is no PNG in base64") from error


def _polygon(points: Array) -> Shape:
    return Polygon((points,))


def _rectangle(points: Array) -> Shape:
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return Polygon((np.array([(left, top), (right, top), (right, bottom), (left, bottom)]),))


def _circle(points: Array) -> Shape:
    """Return the disc around the first point with the second on its edge."""
    return Disc(points[0], float(np.hypot(*(points[1] - points[0]))))


_SHAPES: Mapping[str, tuple[Callable[[Array], Shape], int]] = {
    "polygon": (_polygon, 3),
    "rectangle": (_rectangle, 2),
    "circle": (_circle, 2),
}
"""Function and minimum number of points of every kind of shape."""
