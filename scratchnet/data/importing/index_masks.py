"""Masks whose grey values or palette indices stand for classes, with names that may have a suffix."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.class_names import find_class_file, read_class_list
from scratchnet.data.file_names import find_entry
from scratchnet.data.image_files import open_image
from scratchnet.data.image_folders import files_by_stem, is_image_file
from scratchnet.data.importing.labels import IGNORED, Entry, Export, LabelledImage, Region, assign_classes
from scratchnet.data.importing.mask_pairs import MASK_SUFFIXES, mask_of, masks_without_images
from scratchnet.data.importing.shapes import Selected
from scratchnet.data.layouts import available_splits
from scratchnet.data.masks import read_instances, read_mask
from scratchnet.data.text_files import numbered_lines
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus",
    "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""Classes of Pascal VOC 2007 to 2012 in the order of their indices."""


MAX_TINT = 16
"""Largest difference of the three channels of a mask that counts as grey."""


class MaskFolders(NamedTuple):
    """Image files, mask files and optional instance masks by their names, and whether the names are Pascal VOC's."""

    images: Mapping[str, Path]
    masks: Mapping[str, Path]
    instances: Mapping[str, Path] | None
    voc: bool


def find_masks(source: Path, images: Path | None) -> MaskFolders | None:
    """Return the images and masks of a folder: in two folders, or in one with a suffix; None if there are none."""
    image_folder = images or _folder(source, "JPEGImages", "images", "image", "imgs")
    mask_folder = _folder(source, "SegmentationClass", "masks", "mask", "labels", "annotations")
    if image_folder is not None and mask_folder is not None and any(map(is_image_file, mask_folder.iterdir())):
        objects = _folder(source, "SegmentationObject")
        instances = None if objects is None else files_by_stem(objects)
        voc = mask_folder.name == "SegmentationClass" and find_class_file(source) is None
        return MaskFolders(files_by_stem(image_folder), files_by_stem(mask_folder), instances, voc)
    if not any(map(is_image_file, source.iterdir())):
        return None
    files = files_by_stem(source)
    masks = {name: path for name, path in files.items() if _base(name, files) is not None}
    images_alone = {name: path for name, path in files.items() if name not in masks}
    return MaskFolders(images_alone, masks, None, False) if masks else None


def _base(name: str, files: Mapping[str, Path]) -> str | None:
    """Return the name of the image that a file is a mask of."""
    stems = (name.removesuffix(suffix) for suffix in MASK_SUFFIXES if suffix and name.endswith(suffix))
    return next((stem for stem in stems if stem in files), None)


def _folder(source: Path, *names: str) -> Path | None:
    return next((path for name in names if (path := find_entry(source, name)).is_dir()), None)


def read_index_masks(source: Path, found: MaskFolders, classes: Sequence[str] | None) -> Export:
    """Read masks whose values stand for classes.

    Values below the number of classes are class indices, and 255 is ignored. Otherwise there must be as many different
    values as classes, which belong to the classes in ascending order (0 and 255, or 0, 128 and 255). JPEG masks
    are read for two classes only, with the threshold 127.

    Parameters
    ----------
    source : Path
    found : MaskFolders
    classes : sequence of str or None
        Names of the classes, background first; None: ``classes.txt``, or Pascal VOC's.

    Raises
    ------
    UserError
        When there are no names, or the values do not fit them.
    """
    names = _names(source, found, classes)
    lossy = [path for path in found.masks.values() if _is_lossy(path)]
    if lossy and len(names) > 2:
        raise UserError(f"{lossy[0]}: a JPEG, whose compression changes class indices; export the masks as PNG")
    values = [] if lossy else _values(found.masks.values())
    table = {0: 0, 1: 1} if lossy else _table(source, values, names)
    entries = [Entry(name, partial(_load, path, found, table, bool(lossy))) for name, path in found.images.items()]
    problems = masks_without_images(found.images, found.masks)
    said = (
        "JPEG, grey above 127 is class 1" if lossy else f"values {', '.join(f'{v}={_word(table[v])}' for v in values)}"
    )
    summary = f"{'Pascal VOC' if found.voc else 'masks'}: {len(found.masks)} masks, {said}"
    return Export(summary, names, entries, problems, found.instances is not None, _splits(source, found.voc))


def _names(source: Path, found: MaskFolders, classes: Sequence[str] | None) -> tuple[str, ...]:
    if classes is not None:
        return assign_classes((), classes)[0]
    listed = find_class_file(source)
    if listed is not None:
        return assign_classes((), read_class_list(listed).names)[0]
    if found.voc:
        return VOC_CLASSES
    values = [] if any(map(_is_lossy, found.masks.values())) else _values(found.masks.values())
    held = f" of the values {', '.join(map(str, values[:6]))}{', …' * (len(values) > 6)}" if values else ""
    raise UserError(f"{source}: its masks have no class names; name the classes{held} with {option('classes')}")


def _is_lossy(path: Path) -> bool:
    with open_image(path) as (_, header):
        return bool(header.lossy)


def _read(path: Path) -> Array:
    """Return the values (h, w) uint8 of a mask."""
    with open_image(path) as (image, _):
        binary = image.mode in {"1", "RGB", "RGBA", "LA", "PA"}
        coloured = image.mode in {"RGB", "RGBA"} and np.ptp(np.array(image)[:, :, :3], axis=2).max() > MAX_TINT
    if coloured:
        raise UserError(
            f"{path}: a coloured mask, but the export has no list of colours; add classes.txt with a line such as "
            "`cat 128 0 0` for each class"
        )
    if binary:
        return read_mask(path, format="binary") * np.uint8(255)
    values = read_instances(path)
    if values.dtype != np.uint8:
        raise UserError(f"{path}: a mask with values above 255; expected class indices from 0 to 255")
    return values


def _values(paths: Iterable[Path]) -> list[int]:
    """Return the values that occur in readable masks; a UserError if none can be read."""
    used, failure = np.zeros(256, bool), None
    for path in paths:
        try:
            used |= np.bincount(_read(path).ravel(), minlength=256) > 0
        except UserError as error:
            failure = error
    if failure is not None and not used.any():
        raise failure
    return [int(value) for value in np.flatnonzero(used)]


def _table(source: Path, values: Sequence[int], names: Sequence[str]) -> dict[int, int]:
    """Return the class of every value."""
    indices = [value for value in values if value != IGNORED]
    if max(indices, default=0) < len(names) and indices != [0]:
        return {value: value for value in values}
    if len(values) == len(names):
        return {value: index for index, value in enumerate(values)}
    shown = ", ".join(map(str, values[:8])) + ", …" * (len(values) > 8)
    raise UserError(
        f"{source}: its masks hold {len(values)} values ({shown}), but there are {len(names)} classes; name as many "
        f"classes as values with {option('classes')}"
    )


def _word(label: int) -> str:
    return "ignored" if label == IGNORED else str(label)


def _splits(source: Path, voc: bool) -> dict[str, list[str]]:
    layout = "voc" if voc else "folder"
    folder = source / ("ImageSets/Segmentation" if voc else "splits")
    if not folder.is_dir():
        return {}
    return {
        split: [line for _, line in numbered_lines(find_entry(folder, f"{split}.txt"))]
        for split in available_splits(source, layout)  # type: ignore[arg-type]
    }


def _load(image: Path, found: MaskFolders, table: Mapping[int, int], lossy: bool) -> LabelledImage:
    path = mask_of(image.stem, found.masks, image.name)
    values = read_mask(path, format="threshold") if lossy else _read(path)
    strange = [int(value) for value in np.unique(values) if int(value) not in table]
    if strange:
        raise UserError(f"{path}: the value {strange[0]} stands for no class; correct the mask")
    lookup = np.zeros(256, np.int64)
    lookup[list(table)] = list(table.values())
    codes = lookup[values]
    if found.instances is not None:
        if path.stem not in found.instances:
            raise UserError(f"{image.name}: has no mask of objects, unlike other images")
        numbers = read_instances(found.instances[path.stem]).astype(np.int64)
        if numbers.shape != codes.shape:
            raise UserError(f"{found.instances[path.stem]}: has another size than {path}")
        codes = codes + (numbers << 8)
    regions = [
        Region(int(code) & 255, (Selected(codes, int(code)),), number if found.instances is None or code >> 8 else 0)
        for number, code in enumerate(np.unique(codes), 1)
    ]
    return LabelledImage(image, image.suffix, None, regions)
