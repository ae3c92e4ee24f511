"""CVAT's own format, "CVAT for images": one XML file with the shapes of all images."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, ParseError, iterparse

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.file_names import canonical_name
from scratchnet.data.importing.labels import Entry, Export, LabelledImage, Region, assign_classes, corners
from scratchnet.data.importing.shapes import BoxRuns, Ellipse, Polygon, Shape, turned_rectangle
from scratchnet.data.importing.splits import image_folders, join_splits
from scratchnet.utils.errors import UserError
from scratchnet.utils.input_files import check_regular_file
from scratchnet.utils.options import option

MAX_BYTES = 1 << 30
"""Maximum size of an XML file."""

_Fields = Mapping[str, str]


def is_cvat(path: Path) -> bool:
    """Return whether a file is an XML file whose root is ``annotations``."""
    try:
        with path.open("rb") as file:
            _, root = next(iterparse(file, ("start",)))
    except (ParseError, StopIteration, OSError):
        return False
    return bool(root.tag == "annotations")


def read_cvat(path: Path, classes: Sequence[str] | None, images: Path | None) -> Export:
    """Read an XML file of CVAT; without ``classes``, the labels are in the order of the file's list of labels.

    Parameters
    ----------
    path : Path
    classes : sequence of str or None
        Names of the classes, background first.
    images : Path or None
        Folder of the images; None: ``images/`` next to the file, the folders in it, or the file's folder.

    Raises
    ------
    UserError
        When the file cannot be read or has no images.
    """
    labels, pictures = _parse(path)
    names, values = assign_classes(labels, classes)
    folders = [images] if images else [*image_folders(path.parent / "images", path), path.parent]
    files = [PurePosixPath(picture.get("name", "").replace("\\", "/")) for picture in pictures]
    if not files or not all(file.stem for file in files):
        raise UserError(f'{path}: has no images with names; expected an export "CVAT for images"')
    unique = len({canonical_name(file.stem) for file in files}) == len(files)
    stems = [
        file.stem if unique else "-".join(p for p in file.with_suffix("").parts if p not in "/..") for file in files
    ]
    entries = [
        Entry(stem, partial(_load, picture, file, values, folders, unique))
        for stem, picture, file in zip(stems, pictures, files, strict=True)
    ]
    splits: dict[str, list[str]] = {}
    for stem, picture in zip(stems, pictures, strict=True):
        if subset := picture.get("subset"):
            splits.setdefault(subset.lower(), []).append(stem)
    return Export(f"CVAT: {len(entries)} image{'s' * (len(entries) != 1)}", names, entries, [], True, splits)


def read_cvat_splits(files: Mapping[str, Path], classes: Sequence[str] | None, images: Path | None) -> Export:
    """Read one XML file per split, all with the same labels; the arguments are those of `read_cvat`."""
    return join_splits("CVAT", files, {split: read_cvat(path, classes, images) for split, path in files.items()})


def _parse(path: Path) -> tuple[list[str], list[Element]]:
    """Return the labels, first those of the list and then others that shapes have, and the elements of the images."""
    check_regular_file(path, "an XML file")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path}: more than {MAX_BYTES} bytes; export it in several parts")
    listed: list[str] = []
    pictures: list[Element] = []
    try:
        for _, element in iterparse(path, ("end",)):
            if element.tag == "label" and (name := element.findtext("name")):
                listed.append(name)
            elif element.tag == "image":
                pictures.append(element)
            elif element.tag == "track":
                raise UserError(f'{path}: a video with tracks; export it as "CVAT for images"')
    except ParseError as error:
        raise UserError(f"{path}: not valid XML ({error}); export it again") from error
    used = sorted({shape.get("label", "") for picture in pictures for shape in picture if shape.tag in _AREAS})
    return list(dict.fromkeys([*listed, *used])), pictures


def _load(
    picture: Element, file: PurePosixPath, values: Mapping[str, int], folders: Sequence[Path], alone: bool
) -> LabelledImage:
    """Read an image's shapes; if its name is the only such one (``alone``), the image may be in another folder."""
    places = [folder / place for place in ([str(file), file.name] if alone else [str(file)]) for folder in folders]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UserError(f"{file}: no such image in {' or '.join(map(str, folders))}; pass {option('images')}")
    numbers: dict[object, int] = {}
    regions = []
    try:
        size = (int(picture.get("height", "")), int(picture.get("width", "")))
        shapes = [shape for shape in picture if shape.tag not in {"tag", "skeleton"}]
        for index, shape in enumerate(sorted(shapes, key=lambda shape: int(shape.get("z_order") or 0)), 1):
            key = (shape.get("label"), shape.get("group_id")) if shape.get("group_id") else index
            number = numbers.setdefault(key, len(numbers) + 1)
            regions.append(Region(values[shape.get("label", "")], (_shape(shape),), number))
    except (ValueError, OverflowError, KeyError) as error:
        raise UserError(f"{file}: its shapes or its size are damaged ({error}); export it again") from error
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return LabelledImage(found, found.suffix, size, regions)


def _shape(shape: Element) -> Shape:
    if shape.tag not in _AREAS:
        raise UserError(f"a {shape.tag} has no area; draw a polygon, or delete it")
    return _AREAS[shape.tag](shape.attrib)


def _polygon(fields: _Fields) -> Shape:
    points = [[float(value) for value in pair.split(",")] for pair in fields["points"].split(";")]
    return Polygon((corners(points, 3, "a polygon"),))


def _numbers(fields: _Fields, *names: str) -> Array:
    values = np.array([float(fields[name]) for name in names])
    if not (abs(values) <= 1 << 24).all():
        raise UserError(f"the values of {', '.join(names)} are no positions in an image")
    return values


def _box(fields: _Fields) -> Shape:
    left, top, right, bottom = _numbers(fields, "xtl", "ytl", "xbr", "ybr")
    corner, size = np.array([left, top]), np.array([right - left, bottom - top])
    return turned_rectangle(corner, size, float(fields.get("rotation", 0)), corner + size / 2)


def _ellipse(fields: _Fields) -> Shape:
    x, y, rx, ry = _numbers(fields, "cx", "cy", "rx", "ry")
    return Ellipse(np.array([x, y]), np.array([rx, ry]), float(fields.get("rotation", 0)))


def _mask(fields: _Fields) -> Shape:
    left, top, width, height = (int(value) for value in _numbers(fields, "left", "top", "width", "height"))
    return BoxRuns([int(run) for run in fields["rle"].split(",")], top, left, height, width)


_AREAS: Mapping[str, Callable[[_Fields], Shape]] = {
    "polygon": _polygon,
    "box": _box,
    "ellipse": _ellipse,
    "mask": _mask,
}
