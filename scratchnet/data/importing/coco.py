"""Exports in COCO's JSON format: polygons and run-length encoded masks of all images in one file."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from scratchnet.data.file_names import canonical_name
from scratchnet.data.importing.json_files import read_object
from scratchnet.data.importing.labels import (
    Entry,
    Export,
    LabelledImage,
    Region,
    assign_classes,
    corners,
)
from scratchnet.data.importing.run_lengths import unpack_runs
from scratchnet.data.importing.shapes import Polygon, Runs, Shape
from scratchnet.data.importing.splits import image_folders, join_splits
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

EXPECTED = "a COCO file with images, annotations and categories"

CROWDS = "annotations marked as crowds (iscrowd): their pixels have their class, but count as no objects"
"""Remark about annotations with ``iscrowd``."""

INSTANCES = "instances_"
"""Beginning of the name of a file with objects, in a folder that also has files of other tasks."""

Object = Mapping[str, Any]


def is_coco(content: Any) -> bool:
    """Return whether the content of a JSON file is COCO's."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def read_coco(path: Path, classes: Sequence[str] | None, images: Path | None) -> Export:
    """Read a COCO file; without ``classes``, the categories are in the order of their ids.

    Parameters
    ----------
    path : Path
    classes : sequence of str or None
        Names of the classes, background first.
    images : Path or None
        Folder of the images; None: the file's folder, ``images/`` in it, or for a file ``annotations/instances_X.json``
        also ``X/`` and ``images/`` next to ``annotations/`` and the folders in ``images/``.
    """
    content = read_object(path, EXPECTED)
    pictures, annotations, categories = (_objects(path, content, n) for n in ("images", "annotations", "categories"))
    if any("segments_info" in annotation for annotation in annotations):
        raise UserError(f"{path}: COCO's panoptic form, whose masks are in PNG files; export instances instead")
    labels = {_number(path, c, "id", "a category"): str(c.get("name", "")) for c in categories}
    if len(set(labels.values())) < len(categories):
        raise UserError(f"{path}: two categories have the same id or name; correct the file")
    names, values = assign_classes([labels[number] for number in sorted(labels)], classes)
    ids = [_number(path, picture, "id", "an image") for picture in pictures]
    by_image = _by_image(path, annotations, ids)
    by_id = {number: values[label] for number, label in labels.items()}
    subset = path.stem.removeprefix(INSTANCES)
    near = [path.parent, path.parent / "images", path.parent / subset]
    above = [path.parent.parent / subset, *image_folders(path.parent.parent / "images", path)]
    folders = [images] if images else [*near, *(above if path.parent.name == "annotations" else ())]
    names_of_images = _names(path, pictures)
    alone = len({PurePosixPath(_posix(picture["file_name"])).name for picture in pictures}) == len(pictures)
    entries = [
        Entry(name, partial(_load, picture, by_image.get(number, []), by_id, folders, alone))
        for name, number, picture in zip(names_of_images, ids, pictures, strict=True)
    ]
    if not entries:
        raise UserError(f"{path}: has no images; expected {EXPECTED}")
    summary = f"COCO: {len(pictures)} image{'s' * (len(pictures) != 1)}, {len(annotations)} annotations"
    crowds = sum(bool(annotation.get("iscrowd")) for annotation in annotations)
    return Export(
        summary, names, entries, [], remarks=[f"{path.name}: {crowds} of {len(annotations)} {CROWDS}"] if crowds else []
    )


def _by_image(path: Path, annotations: Sequence[Object], ids: Sequence[int]) -> dict[int, list[Object]]:
    """Return the annotations of each image."""
    found: dict[int, list[Object]] = {}
    for annotation in annotations:
        found.setdefault(_number(path, annotation, "image_id", "an annotation"), []).append(annotation)
    if stray := found.keys() - set(ids):
        raise UserError(f"{path}: an annotation is of image {min(stray)}, which is not in the file; export it again")
    if len(set(ids)) < len(ids):
        raise UserError(f"{path}: two images have the same id; export it again")
    return found


def read_coco_splits(files: Mapping[str, Path], classes: Sequence[str] | None, images: Path | None) -> Export:
    """Read one COCO file per split, all with the same categories; the arguments are those of `read_coco`.

    Raises
    ------
    UserError
        As `read_coco`, or when the categories differ.
    """
    return join_splits("COCO", files, {split: read_coco(path, classes, images) for split, path in files.items()})


def _objects(path: Path, content: Object, name: str) -> list[Object]:
    """Return a list of objects of the file."""
    found = content.get(name)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise UserError(f"{path}: has no list of {name}; expected {EXPECTED}")
    return found


def _number(path: Path, item: Object, key: str, name: str) -> int:
    number = item.get(key)
    if type(number) is not int:
        raise UserError(f"{path}: {name} has the {key} {number!r}, expected a whole number")
    return number


def _names(path: Path, pictures: Sequence[Object]) -> list[str]:
    """Return the names of the images without folder and suffix, or with their folders where those are not unique."""
    files = [picture.get("file_name") for picture in pictures]
    if not all(isinstance(file, str) and PurePosixPath(_posix(file)).stem for file in files):
        raise UserError(f"{path}: an image has no file_name; expected {EXPECTED}")
    paths = [PurePosixPath(_posix(file)) for file in files if file]
    stems = [file.stem for file in paths]
    if len({canonical_name(stem) for stem in stems}) == len(stems):
        return stems
    return ["-".join(part for part in file.with_suffix("").parts if part not in ("/", "..")) for file in paths]


def _posix(file: str) -> str:
    return file.replace("\\", "/")


def _load(
    picture: Object, annotations: Sequence[Object], values: Mapping[int, int], folders: Sequence[Path], alone: bool
) -> LabelledImage:
    """Read an image's annotations; if its name is the only such one (``alone``), the image may be in another folder."""
    file = _posix(picture["file_name"])
    names = [file, PurePosixPath(file).name] if alone else [file]
    places = [folder / name for name in names for folder in folders]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UserError(f"{file}: no such image in {', '.join(map(str, folders))}; pass {option('images')}")
    size = (picture.get("height"), picture.get("width"))
    try:
        regions = [_region(a, index, values) for index, a in enumerate(annotations, 1)]
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return LabelledImage(found, found.suffix, None if None in size else size, regions)  # type: ignore[arg-type]


def _region(annotation: Object, index: int, values: Mapping[int, int]) -> Region:
    """Return the region of an annotation; a crowd has its class, but is no single object.

    CVAT and Datumaro also mark masks of single objects as crowds.
    """
    name = f"annotation {annotation.get('id', index)}"
    category = annotation.get("category_id")
    if type(category) is not int or category not in values:
        raise UserError(f"{name}: the category {category!r} is not in the file")
    number = 0 if annotation.get("iscrowd") else index
    return Region(values[category], _shapes(annotation.get("segmentation"), name), number)


def _shapes(segmentation: Any, name: str) -> tuple[Shape, ...]:
    """Return the shapes of a segmentation, a list of polygons x, y, x, y, … or run lengths."""
    if isinstance(segmentation, list) and segmentation:
        return tuple(Polygon((_ring(part, name),)) for part in segmentation)
    if not isinstance(segmentation, dict):
        raise UserError(f"{name}: has no segmentation, only a box perhaps; export polygons or masks")
    size, runs = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int for side in size):
        raise UserError(f"{name}: its size is {size!r}, expected [height, width]")
    if isinstance(runs, str):
        runs = unpack_runs(runs)
    if not isinstance(runs, list):
        raise UserError(f"{name}: has no counts, expected run lengths")
    return (Runs(runs, size[0], size[1]),)


def _ring(part: Any, name: str) -> np.ndarray[Any, Any]:
    if not isinstance(part, list) or len(part) % 2:
        raise UserError(f"{name}: a polygon is no list x, y, x, y, …")
    return corners([part[i : i + 2] for i in range(0, len(part), 2)], 3, name)
