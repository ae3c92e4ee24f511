"""Cityscapes (Cordts et al. 2016): folders ``leftImg8bit/SPLIT/CITY`` and ``gtFine/SPLIT/CITY``."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from scratchnet.data.importing.labels import IGNORED, Entry, Export, LabelledImage, Region
from scratchnet.data.importing.shapes import Selected
from scratchnet.data.masks import read_instances
from scratchnet.utils.errors import UserError

CLASSES: Mapping[int, str] = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
"""The 19 classes of the benchmark by their ids in ``*_labelIds.png``; all other ids are ignored."""

IMAGE_ENDING, MASK_ENDING = "_leftImg8bit", "_gtFine_labelIds"


def is_cityscapes(source: Path) -> bool:
    """Return whether a folder has Cityscapes' two folders."""
    return (source / "leftImg8bit").is_dir() and (source / "gtFine").is_dir()


def read_cityscapes(source: Path, classes: Sequence[str] | None) -> Export:
    """Read the images of all splits with their masks of ids; splits without masks (test) are left out.

    Raises
    ------
    UserError
        When other class names are asked for, or there are no images.
    """
    if classes is not None and tuple(classes) != tuple(CLASSES.values()):
        raise UserError(f"{source}: Cityscapes has classes of its own; leave out --classes")
    entries, splits = [], dict[str, list[str]]()
    for path in sorted((source / "leftImg8bit").glob(f"*/*/*{IMAGE_ENDING}.png")):
        split, city = path.parts[-3:-1]
        name = path.stem.removesuffix(IMAGE_ENDING)
        mask = source / "gtFine" / split / city / f"{name}{MASK_ENDING}.png"
        if split == "test" and not mask.exists():
            continue
        entries.append(Entry(name, partial(_load, path, mask)))
        splits.setdefault(split, []).append(name)
    if not entries:
        raise UserError(f"{source}: no images leftImg8bit/SPLIT/CITY/*{IMAGE_ENDING}.png; check the folder")
    return Export(f"Cityscapes: {len(entries)} images", tuple(CLASSES.values()), entries, [], False, splits)


def _load(image: Path, mask: Path) -> LabelledImage:
    ids = read_instances(mask)
    table = np.full(256, IGNORED, np.int64)
    table[list(CLASSES)] = np.arange(len(CLASSES))
    labels = table[np.minimum(ids, 255)]
    regions = [Region(int(label), (Selected(labels, int(label)),), 1) for label in np.unique(labels)]
    return LabelledImage(image, image.suffix, None, regions)
