"""Exports with coloured masks and a list of colours, such as CVAT's "Segmentation mask" and CamVid."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.class_names import ClassList, find_class_file, read_class_list
from scratchnet.data.file_names import canonical_name, find_entry
from scratchnet.data.image_files import open_image
from scratchnet.data.image_folders import files_by_stem
from scratchnet.data.importing.labels import Entry, Export, LabelledImage, Region, assign_classes
from scratchnet.data.importing.mask_pairs import mask_of, masks_without_images
from scratchnet.data.importing.shapes import Selected
from scratchnet.data.layouts import available_splits, list_folder
from scratchnet.data.text_files import numbered_lines
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

ANNOTATED = "annot"
"""End of the name of a folder of masks, after that of the folder of the images."""

UNSPLIT = "default"
"""CVAT's name of the split of images that have none."""


class ColourMasks(NamedTuple):
    """Image files, masks and optional instance masks by their names; classes; names of the images of every split."""

    images: Mapping[str, Path]
    masks: Mapping[str, Path]
    instances: Mapping[str, Path] | None
    listed: ClassList
    splits: Mapping[str, list[str]]


def find_colour_masks(source: Path, images: Path | None) -> ColourMasks | None:
    """Return the files of an export with coloured masks and a list of colours; None for another folder.

    The folders are ``JPEGImages/`` or ``images/``, ``SegmentationClass/`` or ``masks/``, and optionally
    ``SegmentationObject/`` with a colour for every object and the lists ``ImageSets/Segmentation/``. In the layout of
    the SegNet tutorial, which CVAT calls "CamVid", each split has a folder of images and another of masks: ``train/``
    and ``trainannot/``.

    Parameters
    ----------
    source : Path
    images : Path or None
        Folder of the images, if it is another one.
    """
    listed = find_class_file(source)
    if listed is None and (camvid := find_entry(source, "label_colors.txt")).is_file():
        listed = camvid
    masks = _folder(source, "SegmentationClass", "masks")
    annotated = [] if masks or listed is None else _annotated(source)
    if listed is None or (masks is None and not annotated):
        return None
    found = read_class_list(listed)
    if not found.colours:
        return None
    if masks is None:
        if images is not None:
            raise UserError(f"{source}: has a folder of images for each split; leave out {option('images')}")
        return _of_splits(annotated, found)
    images = images or _folder(source, "JPEGImages", "images")
    if images is None:
        raise UserError(f"{source}: has no folder JPEGImages or images; pass {option('images')}")
    objects = _folder(source, "SegmentationObject")
    instances = None if objects is None else files_by_stem(objects)
    return ColourMasks(files_by_stem(images), files_by_stem(masks), instances, found, _splits(source))


def read_colour_masks(source: Path, found: ColourMasks, classes: Sequence[str] | None) -> Export:
    """Read coloured masks; without ``classes``, the classes are in the order of the list of colours.

    Parameters
    ----------
    source : Path
        For messages.
    found : ColourMasks
    classes : sequence of str or None
        Names of the classes, background first.
    """
    images, masks, instances, listed, splits = found
    names, values = assign_classes(listed.names, classes)
    colours: dict[int, int] = {}
    for name, (red, green, blue) in zip(listed.names, listed.colours or (), strict=True):
        if colours.setdefault(red << 16 | green << 8 | blue, values[name]) != values[name]:
            raise UserError(f"{source}: the colour {red},{green},{blue} belongs to two classes; correct the list")
    entries = [Entry(name, partial(_load, name, file, masks, instances, colours)) for name, file in images.items()]
    problems = masks_without_images(images, masks)
    return Export(f"coloured masks: {len(masks)} masks", names, entries, problems, instances is not None, splits)


def _folder(source: Path, *names: str) -> Path | None:
    return next((path for name in names if (path := find_entry(source, name)).is_dir()), None)


def _annotated(source: Path) -> list[Path]:
    """Return the folders ``X`` of images that have a folder ``Xannot`` of masks."""
    folders = sorted(path for path in source.iterdir() if path.is_dir())
    return [path for path in folders if path.with_name(path.name + ANNOTATED) in folders]


def _of_splits(folders: Sequence[Path], listed: ClassList) -> ColourMasks:
    """Return the files of folders ``X`` and ``Xannot``; names that occur in several splits begin with the split."""
    images = {folder.name.lower(): files_by_stem(folder) for folder in folders}
    masks = {folder.name.lower(): files_by_stem(folder.with_name(folder.name + ANNOTATED)) for folder in folders}
    stems = [canonical_name(stem) for files in images.values() for stem in files]
    unique = len(set(stems)) == len(stems)
    splits = {split: [stem if unique else f"{split}-{stem}" for stem in files] for split, files in images.items()}

    def merged(by_split: Mapping[str, Mapping[str, Path]]) -> dict[str, Path]:
        named = [(split, stem, path) for split, files in by_split.items() for stem, path in files.items()]
        return {stem if unique else f"{split}-{stem}": path for split, stem, path in named}

    known = {split: names for split, names in splits.items() if split != UNSPLIT}
    return ColourMasks(merged(images), merged(masks), None, listed, known)


def _splits(source: Path) -> dict[str, list[str]]:
    """Return the names in the lists of the layout ``voc``."""
    folder = source / list_folder("voc")
    splits = available_splits(source, "voc")
    return {split: [line for _, line in numbered_lines(find_entry(folder, f"{split}.txt"))] for split in splits}


def _load(
    name: str,
    image: Path,
    masks: Mapping[str, Path],
    instances: Mapping[str, Path] | None,
    colours: Mapping[int, int],
) -> LabelledImage:
    mask = mask_of(name, masks, image.name)
    used, codes = np.unique(read_colours(mask), return_inverse=True)
    undeclared = [int(colour) for colour in used if int(colour) not in colours]
    if undeclared:
        red, green, blue = undeclared[0].to_bytes(3, "big")
        raise UserError(f"{mask}: the colour {red},{green},{blue} is not in the list of colours; add it")
    labels = np.array([colours[int(colour)] for colour in used])[codes.reshape(-1)].reshape(codes.shape)
    if instances is not None:
        if mask.stem not in instances:
            raise UserError(f"{image.name}: has no mask of objects, unlike other images")
        numbers = read_colours(instances[mask.stem])
        if numbers.shape != labels.shape:
            raise UserError(f"{instances[mask.stem]}: has another size than {mask}")
        labels = labels + (numbers.astype(np.int64) << 8)
    regions = [
        Region(int(code) & 255, (Selected(labels, int(code)),), number if instances is None or code >> 8 else 0)
        for number, code in enumerate(np.unique(labels), 1)
    ]
    return LabelledImage(image, image.suffix, None, regions)


def read_colours(path: Path) -> Array:
    """Return the colours (h, w) int32 of a mask, red × 65536 + green × 256 + blue."""
    with open_image(path) as (image, header):
        if header.lossy:
            raise UserError(f"{path}: {header.lossy}, whose compression changes colours; export it as PNG")
        if image.mode not in {"RGB", "P", "L"} or image.has_transparency_data:
            raise UserError(f"{path}: a {image.mode} image, expected colours without transparency; export it as RGB")
        colours = np.array(image.convert("RGB"))
    codes: Array = colours[:, :, 0].astype(np.int32)
    for channel in (1, 2):
        codes <<= 8
        codes |= colours[:, :, channel]
    return codes
