"""Label Studio's JSON export: a list of tasks, whose shapes have coordinates in per cent."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from scratchnet.data.file_names import canonical_name
from scratchnet.data.importing.json_files import read_bounded_json
from scratchnet.data.importing.labels import Entry, Export, LabelledImage, Region, assign_classes, corners
from scratchnet.data.importing.shapes import Brush, Ellipse, Polygon, Shape, turned_rectangle
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

EXPECTED = "an export of Label Studio in its format JSON"
_KINDS = {"polygonlabels", "rectanglelabels", "ellipselabels", "brushlabels"}
_Task = Mapping[str, Any]


def is_label_studio(content: Any) -> bool:
    """Return whether the content of a JSON file is Label Studio's."""
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict) and "annotations" in content[0]


def read_label_studio(path: Path, classes: Sequence[str] | None, images: Path | None) -> Export:
    """Read an export of Label Studio; without ``classes``, the labels are sorted by name.

    Parameters
    ----------
    path : Path
    classes : sequence of str or None
        Names of the classes, background first.
    images : Path or None
        Folder of the images; None: the file's folder, or ``images/`` in it. Label Studio puts eight characters and a
        hyphen before the names of uploaded files, which the files may lack.
    """
    tasks = read_bounded_json(path, EXPECTED)
    if not all(isinstance(task, dict) for task in tasks):
        raise UserError(f"{path}: holds something else than tasks; expected {EXPECTED}")
    problems, kept, labels = [], [], set[str]()
    for index, task in enumerate(tasks, 1):
        name = f"task {task.get('id', index)}"
        try:
            results, file = _results(task), _image_name(task)
            labels |= {label for result in results for label in _labels(result)}
            kept.append((file, name, results))
        except UserError as error:
            problems.append(f"{path.name}: {name}: {error}")
    if not kept:
        raise UserError(f"{problems[0] if problems else path}; no task could be read")
    names, values = assign_classes(sorted(labels), classes)
    folders = [images] if images else [path.parent / "images", path.parent]
    plain = [Path(_without_prefix(file)).stem for file, _, _ in kept]
    unique = len({canonical_name(stem) for stem in plain}) == len(plain)
    entries = [
        Entry(stem if unique else Path(file).stem, partial(_load, file, name, results, values, folders))
        for stem, (file, name, results) in zip(plain, kept, strict=True)
    ]
    return Export(f"Label Studio: {len(tasks)} task{'s' * (len(tasks) != 1)}", names, entries, problems)


def _results(task: _Task) -> list[Mapping[str, Any]]:
    """Return the shapes of the only annotation of a task."""
    annotations = task.get("annotations")
    if not isinstance(annotations, list) or not all(isinstance(item, dict) for item in annotations):
        raise UserError(f"has no list of annotations; expected {EXPECTED}")
    valid = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    if len(valid) != 1:
        raise UserError(f"has {len(valid)} annotations, expected 1; label it, or delete all but one")
    results = valid[0].get("result")
    if not isinstance(results, list) or not all(isinstance(item, dict) for item in results):
        raise UserError(f"has no list of results; expected {EXPECTED}")
    return [result for result in results if result.get("type") in _KINDS or "original_width" in result]


def _labels(result: Mapping[str, Any]) -> list[str]:
    kind, value = result.get("type"), result.get("value")
    found = value.get(kind) if isinstance(value, dict) and isinstance(kind, str) and kind in _KINDS else None
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], str):
        raise UserError(f"a result of type {kind!r} has no label; expected {', '.join(sorted(_KINDS))}, one label each")
    return [found[0]]


def _image_name(task: _Task) -> str:
    """Return the file name of the image: the last part of its address, or of the path in ``?d=path``."""
    data = task.get("data")
    candidates = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
    for text in [data.get("image") if isinstance(data, dict) else None, *candidates]:
        if not isinstance(text, str):
            continue
        parts = urlsplit(text.replace("\\", "/"))
        address = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
        name = address.rsplit("/", 1)[-1]
        if Path(name).suffix:
            return name
    raise UserError("names no image file in its data")


def _without_prefix(name: str) -> str:
    return re.sub(r"^[0-9a-f]{8}-(?=.)", "", name)


def _load(
    file: str, name: str, results: Sequence[Mapping[str, Any]], values: Mapping[str, int], folders: Sequence[Path]
) -> LabelledImage:
    places = [folder / place for folder in folders for place in (file, _without_prefix(file))]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UserError(f"{file}: no such image in {' or '.join(map(str, folders))}; pass {option('images')}")
    sizes = {(result.get("original_height"), result.get("original_width")) for result in results}
    if len(sizes) > 1:
        raise UserError(f"{file}: {name} was labelled in two sizes; export it again")
    size = next(iter(sizes), None)
    try:
        regions = [
            Region(values[_labels(result)[0]], (_shape(result),), index) for index, result in enumerate(results, 1)
        ]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{file}: a result of {name} is damaged ({error}); export it again") from error
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return LabelledImage(found, found.suffix, size, regions)  # type: ignore[arg-type]


def _shape(result: Mapping[str, Any]) -> Shape:
    value, kind = result["value"], result["type"]
    width, height = int(result["original_width"]), int(result["original_height"])
    if kind == "brushlabels":
        return Brush(value["rle"])
    scale = np.array([width, height]) / 100
    if kind == "polygonlabels":
        return Polygon((corners(value["points"], 3, "a polygon") * scale,))
    position = corners([[value["x"], value["y"]]], 1, "a shape")[0] * scale
    angle = float(value.get("rotation") or 0)
    if kind == "rectanglelabels":
        size = corners([[value["width"], value["height"]]], 1, "a rectangle")[0] * scale
        return turned_rectangle(position, size, angle, position)
    return Ellipse(position, corners([[value["radiusX"], value["radiusY"]]], 1, "an ellipse")[0] * scale, angle)
