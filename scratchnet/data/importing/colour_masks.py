"""Exports with coloured masks and a list of colours, such as CVAT's "Segmentation mask" and CamVid."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.class_names import ClassList, find_class_file, read_class_list
from scratchnet.data.file_names import find_entry
from scratchnet.data.image_files import open_image
from scratchnet.data.image_folders import files_by_stem
from scratchnet.data.importing.labels import Entry, Export, LabelledImage, Region, assign_classes
from scratchnet.data.importing.mask_pairs import mask_of, masks_without_images
from scratchnet.data.importing.shapes import Selected
from scratchnet.data.layouts import available_splits, list_folder
from scratchnet.data.text_files import numbered_lines
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option


def find_colours(source: Path) -> ClassList | None:
    """Return the names and colours of an export with coloured masks; None for another folder."""
    listed = find_class_file(source)
    if listed is None and (camvid := find_entry(source, "label_colors.txt")).is_file():
        listed = camvid
    if listed is None or _folder(source, "SegmentationClass", "masks") is None:
        return None
    found = read_class_list(listed)
    return found if found.colours else None


def read_colour_masks(source: Path, listed: ClassList, classes: Sequence[str] | None, images: Path | None) -> Export:
    """Read coloured masks; without ``classes``, the classes are in the order of the list of colours.

    Parameters
    ----------
    source : Path
        Folder with ``JPEGImages/`` or ``images/``, ``SegmentationClass/`` or ``masks/``, and optionally
        ``SegmentationObject/`` with a colour for every object and the lists ``ImageSets/Segmentation/``.
    listed : ClassList
        Names and colours.
    classes : sequence of str or None
        Names of the classes, background first.
    images : Path or None
        Folder of the images.
    """
    images = images or _folder(source, "JPEGImages", "images")
    masks, objects = _folder(source, "SegmentationClass", "masks"), _folder(source, "SegmentationObject")
    if images is None or masks is None:
        raise UserError(f"{source}: has no folder JPEGImages or images; pass {option('images')}")
    names, values = assign_classes(listed.names, classes)
    colours: dict[int, int] = {}
    for name, (red, green, blue) in zip(listed.names, listed.colours or (), strict=True):
        if colours.setdefault(red << 16 | green << 8 | blue, values[name]) != values[name]:
            raise UserError(f"{source}: the colour {red},{green},{blue} belongs to two classes; correct the list")
    image_files, mask_files = files_by_stem(images), files_by_stem(masks)
    instances = None if objects is None else files_by_stem(objects)
    entries = [Entry(name, partial(_load, file, mask_files, instances, colours)) for name, file in image_files.items()]
    problems = masks_without_images(image_files, mask_files)
    summary = f"coloured masks: {len(mask_files)} masks"
    return Export(summary, names, entries, problems, objects is not None, _splits(source))


def _folder(source: Path, *names: str) -> Path | None:
    return next((path for name in names if (path := find_entry(source, name)).is_dir()), None)


def _splits(source: Path) -> dict[str, list[str]]:
    """Return the names in the lists of the layout ``voc``."""
    folder = source / list_folder("voc")
    splits = available_splits(source, "voc")
    return {split: [line for _, line in numbered_lines(find_entry(folder, f"{split}.txt"))] for split in splits}


def _load(
    image: Path, masks: Mapping[str, Path], instances: Mapping[str, Path] | None, colours: Mapping[int, int]
) -> LabelledImage:
    mask = mask_of(image.stem, masks, image.name)
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
