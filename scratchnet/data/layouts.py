"""Folder layouts of data sets: finding pairs of images and masks, and the lists of splits."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from scratchnet.data.file_names import find_by_name, find_entry, is_system_file, match_names
from scratchnet.data.image_folders import existing_folder, files_by_stem
from scratchnet.data.text_files import numbered_lines
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

Layout: TypeAlias = Literal["folder", "camvid", "voc"]
"""Locations of a data set's images, masks and lists of splits; image files may have any readable suffix.

``folder``: ``images/X.*`` belongs to ``masks/X.*``; ``splits/NAME.txt`` lists one name X per line.

``camvid``, as in the SegNet tutorial: ``NAME/X.*`` belongs to ``NAMEannot/X.*`` or ``NAMEannot/ann_X.*``. An optional
list ``NAME.txt`` of paths ``IMAGE MASK`` selects among them; only the last folder and the name of a path are used.
Without a split, the names of the samples begin with those of their splits.

``voc``, as in Pascal VOC: ``JPEGImages/X.*`` belongs to ``SegmentationClass/X.*``;
``ImageSets/Segmentation/NAME.txt`` lists one name X per line."""

_ANNOTATION = "annot"
_VOC_LISTS = Path("ImageSets", "Segmentation")

Pairing: TypeAlias = "tuple[list[Sample], list[str]]"
"""Complete pairs, and one message for every problem."""


@dataclass(frozen=True)
class Sample:
    """An image file, its mask file and, if the data set has instance masks, its instance mask file."""

    name: str
    image: Path
    mask: Path
    objects: Path | None = None


def available_splits(root: Path | str, layout: Layout = "folder") -> list[str]:
    """Return the names of a data set's splits, sorted; an empty list if it has none."""
    root = existing_folder(Path(root))
    if layout == "camvid":
        names = {path.name.casefold() for path in root.iterdir() if path.is_dir()}
        found = [path.name for path in root.iterdir() if f"{path.name.casefold()}{_ANNOTATION}" in names]
        return sorted(_canonical_split(name) for name in found if (root / name).is_dir())
    folder = _lists_of(root, layout)
    if not (folder.exists() or folder.is_symlink()):
        return []
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of lists, one NAME.txt per split; move the file away")
    entries = sorted(path for path in folder.iterdir() if not is_system_file(path.name))
    lists = [path for path in entries if path.suffix.lower() == ".txt"]
    if entries and not lists and layout == "folder":
        raise UserError(
            f"{folder}: holds {entries[0].name} but no list NAME.txt; write one image name per line, or remove it"
        )
    return sorted(_canonical_split(path.stem) for path in lists)


def _canonical_split(split: str) -> str:
    """Return a common split name in lower case (TRAIN becomes train), other names unchanged."""
    return split.casefold() if split.casefold() in {"train", "val", "test", "trainval"} else split


def list_folder(layout: Layout) -> Path:
    """Return the folder of the lists of splits, relative to the root of a data set."""
    return _VOC_LISTS if layout == "voc" else Path("splits")


def _lists_of(root: Path, layout: Layout) -> Path:
    """Return the folder of the lists of splits, ignoring the case of its name."""
    folder = root
    for name in list_folder(layout).parts:
        folder = find_entry(folder, name)
    return folder


def find_samples(root: Path, layout: Layout, split: str | None) -> Pairing:
    """Pair images with masks.

    Returns
    -------
    samples : list of Sample
        The complete pairs.
    problems : list of str
        One message for every file without its partner.

    Raises
    ------
    UserError
        When a required folder or list is missing or empty.
    """
    if layout == "camvid":
        return _find_camvid(root, split)
    names = ("images", "masks", "objects")
    if layout == "voc":
        names = ("JPEGImages", "SegmentationClass", "SegmentationObject")
    image_folder, mask_folder, object_folder = (find_entry(root, name) for name in names)
    images, masks = files_by_stem(image_folder), files_by_stem(mask_folder)
    all_images = images
    if split is None and layout == "voc":  # most of its images have boxes only
        partners = match_names(images, masks, str(root))
        images = {stem: path for stem, path in images.items() if stem in partners}
    if split is None:
        samples, problems = _pair(images, masks, mask_folder)
    else:
        samples, problems = _pair_listed(_split_list(root, layout, split), images, masks)
    return _with_objects(samples, problems, all_images, object_folder)


def _with_objects(samples: list[Sample], problems: list[str], images: dict[str, Path], folder: Path) -> Pairing:
    """Add the instance masks, if the data set has a folder of them."""
    if not (folder.exists() or folder.is_symlink()):
        return samples, problems
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of instance masks; move the file away")
    if all(is_system_file(path.name) for path in folder.iterdir()):
        return samples, problems
    objects = files_by_stem(folder)
    partners = match_names(images, objects, str(folder))
    unmatched = sorted(objects.keys() - set(partners.values()))
    problems += [f"{objects[stem]}: an instance mask without an image; name it like its image" for stem in unmatched]
    found = {name: objects[partner] for name, partner in partners.items()}
    return [replace(sample, objects=found.get(sample.image.stem)) for sample in samples], problems


def _find_camvid(root: Path, split: str | None) -> Pairing:
    """Pair the files of ``SPLIT/`` and ``SPLITannot/``, or those listed in ``SPLIT.txt``, for one split or all."""
    if split is not None:
        listed = find_entry(root, f"{split}.txt")
        if listed.exists():
            return _pair_paths(root, listed)
        splits = available_splits(root, "camvid")
        if split.casefold() not in {name.casefold() for name in splits}:
            advice = f"; choose one of {', '.join(splits)}" if splits else f"; check {option('layout')}"
            raise UserError(f"{root}: no pair of folders {split}/ and {split}{_ANNOTATION}/{advice}")
        mask_folder = find_entry(root, f"{split}{_ANNOTATION}")
        images, masks = files_by_stem(find_entry(root, split)), files_by_stem(mask_folder)
        return _pair(images, _without_prefix(images, masks), mask_folder)
    splits = available_splits(root, "camvid")
    if not splits:
        raise UserError(f"{root}: no pair of folders like train/ and train{_ANNOTATION}/; check {option('layout')}")
    samples, problems = [], []
    for name in splits:
        found, wrong = _find_camvid(root, name)
        samples += [replace(sample, name=f"{name}-{sample.name}") for sample in found]
        problems += wrong
    return samples, problems


def _without_prefix(images: dict[str, Path], masks: dict[str, Path]) -> dict[str, Path]:
    """Rename masks ``ann_X`` to ``X`` where there is no image ``ann_X``."""
    return {stem if stem in images else stem.removeprefix("ann_"): path for stem, path in masks.items()}


def _pair(images: dict[str, Path], masks: dict[str, Path], mask_folder: Path) -> Pairing:
    """Match all files by stem, sorted; a file without a partner is a problem."""
    partners = match_names(images, masks, str(mask_folder.parent))
    samples = [Sample(stem, images[stem], masks[partners[stem]]) for stem in sorted(partners)]
    unmatched = sorted(masks.keys() - set(partners.values()))
    first_or_last_word = (r"[-_. ][^-_. ]*$", r"^[^-_. ]*[-_. ]")  # as in X_mask or gt-X
    similar = {re.sub(word, "", name): masks[name] for name in unmatched for word in first_or_last_word}
    problems = []
    for stem in sorted(images.keys() - partners.keys()):
        found = similar.get(stem)
        advice = f"rename {found} to {stem}{found.suffix}" if found else f"put {stem}.png into {mask_folder}"
        problems.append(f"{images[stem]}: has no mask; {advice}, or move the image away")
    advice = "move it away, or name it like its image"
    problems += [f"{masks[stem]}: a mask without an image; {advice}" for stem in unmatched]
    return samples, problems


def _pair_listed(path: Path, images: dict[str, Path], masks: dict[str, Path]) -> Pairing:
    """Match the files named in a list; other files need no partner."""

    def pair(name: str) -> Sample | str:
        image, mask = find_by_name(name, images, str(path)), find_by_name(name, masks, str(path))
        last = PurePosixPath(name.replace("\\", "/")).name  # of a path, as written by many programs
        if not (image or mask) and last != name:
            image, mask = find_by_name(last, images, str(path)), find_by_name(last, masks, str(path))
        if image and mask:
            return Sample(image.stem, image, mask)
        missing = "mask" if image else "image"
        return f"there is no {missing} named {name!r}; correct or remove the line"

    return _pair_lines(path, pair, "one file name without its suffix per line")


def _pair_paths(root: Path, path: Path) -> Pairing:
    """Match the files in the lines ``IMAGE MASK`` of a list, which may be paths on another computer.

    Only the last folder and the stem are used: ``/SegNet/CamVid/train/x.png`` means ``train/x.*`` below the root.
    """
    stems = lru_cache(files_by_stem)

    def local_file(text: str) -> Path | None:
        listed = PurePosixPath(text.replace("\\", "/"))
        files = stems(find_entry(root, listed.parent.name))
        return find_by_name(listed.stem, files, str(path))

    def pair(line: str) -> Sample | str:
        words = line.split()
        if len(words) != 2:
            return f"expected the paths of an image and its mask, got {line!r}; correct or remove the line"
        image, mask = local_file(words[0]), local_file(words[1])
        if image is None or mask is None:
            missing = PurePosixPath((words[0] if image is None else words[1]).replace("\\", "/"))
            where = Path(missing.parent.name, missing.stem)
            return f"there is no {'image' if image is None else 'mask'} {where}.*; correct or remove the line"
        return Sample(image.stem, image, mask)

    return _pair_lines(path, pair, "the paths of an image and its mask per line")


def _pair_lines(path: Path, pair: Callable[[str], Sample | str], expected: str) -> Pairing:
    """Return the samples of the lines of a list; ``pair`` returns a line's sample, or its problem as text."""
    samples: dict[str, Sample] = {}
    problems = []
    for number, line in numbered_lines(path):
        if is_system_file(line):  # `ls` lists Thumbs.db too
            continue
        result = pair(line)
        if isinstance(result, str):
            problems.append(f"{path}, line {number}: {result}")
        elif result.name in samples:
            problems.append(f"{path}, line {number}: {result.name!r} is listed twice; remove one line")
        else:
            samples[result.name] = result
    if not samples and not problems:
        raise UserError(f"{path}: lists no images; write {expected}")
    return list(samples.values()), problems


def _split_list(root: Path, layout: Layout, split: str) -> Path:
    """Return the list of a split; a UserError that names the existing splits if it does not exist."""
    path = find_entry(_lists_of(root, layout), f"{split}.txt")
    if not path.exists():
        splits = available_splits(root, layout)
        leave = f"leave {option('split')} out"
        advice = f"choose one of {', '.join(splits)}" if splits else f"write one image name per line, or {leave}"
        raise UserError(f"{path}: no such file; {advice}")
    return path
