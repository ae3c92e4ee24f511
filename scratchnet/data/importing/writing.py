"""Writing an export as a data set in the layout ``folder``."""

import json
import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data.class_names import read_class_list
from scratchnet.data.file_names import canonical_name
from scratchnet.data.image_files import inspect_image
from scratchnet.data.image_formats import readable_suffixes
from scratchnet.data.importing.labels import IGNORED, Entry, Export, LabelledImage, Region
from scratchnet.data.importing.orientation import LabelledSide, labelled_side, turn_upright
from scratchnet.data.masks import write_mask
from scratchnet.data.objects.box_annotations import BOXES_FILE, ObjectBox, write_boxes
from scratchnet.data.objects.components import bounding_boxes
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write

MAX_OBJECTS = (1 << 16) - 1
"""Maximum number of objects in an image, since an instance mask has 16 bits."""


@dataclass(frozen=True)
class ImportReport:
    """Result of an import: the number of images written, one message for every entry that was left out, and remarks."""

    written: int
    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def write_export(
    export: Export, directory: Path | str, progress: Callable[[Sequence[Entry]], Iterable[Entry]] = iter
) -> ImportReport:
    """Write images, masks, instance masks, ``boxes.csv`` and ``classes.txt``.

    Image files are copied unchanged. Later regions of an image cover earlier ones; boxes and instance masks are of the
    visible parts.

    Parameters
    ----------
    export : Export
    directory : Path or str
        A new or empty folder.
    progress : callable
        Wraps the sequence of entries to show the progress.

    Raises
    ------
    UserError
        When the folder is not empty or cannot be written, or no entry can be read.
    """
    directory = Path(directory)
    _check_empty(directory)
    problems, boxes, written, sides = list(export.problems), list[ObjectBox](), set[str](), dict[str, LabelledSide]()
    for entry in progress(export.entries):
        try:
            if canonical_name(entry.name) in written:
                raise UserError(f"{entry.name}: the name of two images; rename one")
            labelled = entry.load()
            sides[entry.name] = side = _side(entry, labelled, directory)
            drawn = draw(labelled.regions, *side.size).upright(side.orientation)
        except UserError as error:
            problems.append(str(error) if entry.name in str(error) else f"{entry.name}: {error}")
            continue
        boxes += _write_files(directory, entry.name, labelled, drawn, export.has_objects)
        written.add(canonical_name(entry.name))
    if not written:
        raise UserError(f"{problems[0]}; none of the {len(problems)} entries could be imported")
    _write_lists(directory, export, written, boxes)
    return ImportReport(len(written), tuple(problems), (*export.remarks, *_remarks(sides, written)))


def _remarks(sides: Mapping[str, LabelledSide], written: Container[str]) -> Iterator[str]:
    """Yield a line on the images whose masks were turned, and one on those that may have to be."""
    known = {name: side for name, side in sides.items() if canonical_name(name) in written}
    turned = [name for name, side in known.items() if side.orientation != 1]
    unsure = [name for name, side in known.items() if not side.certain]
    for names, text in (
        (turned, "labelled as stored, without their EXIF orientation; the masks are turned upright"),
        (unsure, "taken as labelled upright; their EXIF orientation and size do not tell, so look at their masks"),
    ):
        if names:
            shown = ", ".join(names[:3]) + ", …" * (len(names) > 3)
            yield f"{len(names)} image{'s' * (len(names) != 1)} ({shown}): {text}"


def _check_empty(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"{directory}: is not an empty folder; choose a new name, nothing is overwritten")


class Drawn(NamedTuple):
    """The regions of an image.

    Attributes
    ----------
    mask : (h, w) uint8
        Classes; 0 where there is no region.
    numbers : (h, w) int32
        Objects; 0 for background and ignored pixels.
    labels : dict of int to int
        Class of each object.
    """

    mask: Array
    numbers: Array
    labels: dict[int, int]

    def upright(self, orientation: int) -> "Drawn":
        """Return what was drawn on stored pixels as it is upright, given the EXIF orientation."""
        return Drawn(turn_upright(self.mask, orientation), turn_upright(self.numbers, orientation), self.labels)


def draw(regions: Sequence[Region], height: int, width: int) -> Drawn:
    """Draw the regions in their order; a UserError for one that does not fit the image."""
    mask, numbers = np.zeros((height, width), np.uint8), np.zeros((height, width), np.int32)
    labels: dict[int, int] = {}
    for region in regions:
        is_object = region.label not in (0, IGNORED) and region.number > 0
        if is_object:
            labels[region.number] = region.label
        for shape in region.shapes:
            window, inside = shape.draw(height, width)
            mask[window.slices][inside] = region.label
            numbers[window.slices][inside] = region.number if is_object else 0
    if labels and max(labels) > MAX_OBJECTS:
        raise UserError(f"{max(labels)} objects in an image, expected at most {MAX_OBJECTS}")
    return Drawn(mask, numbers, labels)


def _side(entry: Entry, labelled: LabelledImage, directory: Path) -> LabelledSide:
    """Return which pixels of the image were labelled; a UserError unless the export states their size."""
    if labelled.suffix.lower() not in readable_suffixes():
        raise UserError(f"{entry.name}: its image has the suffix {labelled.suffix!r}; save it as PNG")
    if isinstance(labelled.image, Path):
        header = inspect_image(labelled.image)
    else:
        probe = directory / "images" / f"{entry.name}{labelled.suffix}"
        _write_bytes(probe, labelled.image)
        try:
            header = inspect_image(probe)
        except UserError as error:
            raise UserError(f"{entry.name}: its imageData is no image that can be read") from error
        finally:
            probe.unlink()
    size, side = header.size, labelled_side(header.size, header.orientation, labelled.size)
    if labelled.size not in (None, side.size):
        stated = "×".join(str(side) for side in labelled.size or ())
        raise UserError(
            f"{entry.name}: its image has {size[0]}×{size[1]} pixels but was labelled with {stated} (height × width); "
            "use the image that was labelled"
        )
    return side


def _write_files(directory: Path, name: str, labelled: LabelledImage, drawn: Drawn, objects: bool) -> list[ObjectBox]:
    """Write the image, the mask and the instance mask of an entry; return the boxes of the visible objects."""
    mask, numbers, labels = drawn
    target = directory / "images" / f"{name}{labelled.suffix}"
    if isinstance(labelled.image, bytes):
        _write_bytes(target, labelled.image)
    else:
        with labelled.image.open("rb") as source, atomic_write(target) as file:
            shutil.copyfileobj(source, file)
    write_mask(directory / "masks" / f"{name}.png", mask)
    if not objects:
        return []
    path = directory / "objects" / f"{name}.png"
    if numbers.max() < IGNORED:
        write_mask(path, numbers.astype(np.uint8))
    else:
        with atomic_write(path) as file:
            Image.fromarray(numbers.astype(np.uint16)).save(file, format="PNG")
    return [ObjectBox(name, labels[number], box) for number, box in bounding_boxes(numbers).items()]


def _write_lists(directory: Path, export: Export, written: Container[str], boxes: Sequence[ObjectBox]) -> None:
    """Write the class names, the boxes, and the lists of the splits without the images that were left out."""
    _write_classes(directory / "classes.txt", export.classes)
    if export.has_objects:
        write_boxes(directory / BOXES_FILE, boxes, export.classes)
    for split, names in export.splits.items():
        lines = "".join(f"{name}\n" for name in names if canonical_name(name) in written)
        _write_bytes(directory / "splits" / f"{split}.txt", lines.encode())


def _write_bytes(path: Path, content: bytes) -> None:
    with atomic_write(path) as file:
        file.write(content)


def _write_classes(path: Path, classes: Sequence[str]) -> None:
    """Write one name per line, or a JSON list if the lines would be read as something else than names."""
    _write_bytes(path, "".join(f"{name}\n" for name in classes).encode())
    found: Any = None
    with suppress(UserError):
        found = read_class_list(path)
    if found is None or found.names != tuple(classes) or found.colours is not None:
        _write_bytes(path, json.dumps(list(classes), ensure_ascii=False).encode())
