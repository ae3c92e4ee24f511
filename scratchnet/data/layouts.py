"""Where a data set keeps its images, masks and lists: finding the pairs in three kinds of folders."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from scratchnet.data.file_names import find_by_name, find_entry, is_system_file, match_names
from scratchnet.data.file_types import detect_file_type_of
from scratchnet.data.image_files import readable_suffixes
from scratchnet.data.text_files import numbered_lines
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

Layout: TypeAlias = Literal["folder", "camvid", "voc"]
"""``folder``: ``images/`` and ``masks/``, lists in ``splits/NAME.txt``. ``camvid``: ``NAME/`` beside ``NAMEannot/``,
the form in which the SegNet tutorial hands out CamVid, with its lists ``NAME.txt`` if they are there. ``voc``:
``JPEGImages/`` and ``SegmentationClass/``, lists in ``ImageSets/Segmentation/NAME.txt``, as in Pascal VOC."""

_ANNOTATION = "annot"
_VOC_LISTS = Path("ImageSets", "Segmentation")

Pairing: TypeAlias = "tuple[list[Sample], list[str]]"
"""Complete pairs, and one line for each thing that is wrong."""


@dataclass(frozen=True)
class Sample:
    """One image file, its mask file, and its file of numbered objects where the set has such files."""

    name: str
    image: Path
    mask: Path
    objects: Path | None = None


def available_splits(root: Path | str, layout: Layout = "folder") -> list[str]:
    """Return the names of a folder's splits, sorted; an empty list where it has none."""
    root = existing_folder(Path(root))
    if layout == "camvid":
        names = {path.name.casefold() for path in root.iterdir() if path.is_dir()}
        found = [path.name for path in root.iterdir() if f"{path.name.casefold()}{_ANNOTATION}" in names]
        return sorted(_usual(name) for name in found if (root / name).is_dir())
    folder = _lists_of(root, layout)
    if not (folder.exists() or folder.is_symlink()):
        return []
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of lists, one NAME.txt a split; move the file away")
    entries = sorted(path for path in folder.iterdir() if not is_system_file(path.name))
    lists = [path for path in entries if path.suffix.lower() == ".txt"]
    if entries and not lists and layout == "folder":
        raise UserError(
            f"{folder}: holds {entries[0].name} but no list NAME.txt; write one image name a line, or remove it"
        )
    return sorted(_usual(path.stem) for path in lists)


def _usual(split: str) -> str:
    """Return the usual spelling of a split's name that differs from it in case alone: TRAIN is train."""
    return split.casefold() if split.casefold() in {"train", "val", "test", "trainval"} else split


def list_folder(layout: Layout) -> Path:
    """Return where, below its root, a set keeps one list of names a split."""
    return _VOC_LISTS if layout == "voc" else Path("splits")


def _lists_of(root: Path, layout: Layout) -> Path:
    """Return the folder of a set's lists, whose name may be in capitals."""
    folder = root
    for name in list_folder(layout).parts:
        folder = find_entry(folder, name)
    return folder


def find_samples(root: Path, layout: Layout, split: str | None) -> Pairing:
    """Pair images with masks.

    Returns
    -------
    samples : list of Sample
        The pairs that are complete.
    problems : list of str
        One line for every file without its partner.

    Raises
    ------
    UserError
        When a folder or list that is needed is missing or empty.
    """
    if layout == "camvid":
        return _find_camvid(root, split)
    names = ("images", "masks", "objects")
    if layout == "voc":
        names = ("JPEGImages", "SegmentationClass", "SegmentationObject")
    image_folder, mask_folder, object_folder = (find_entry(root, name) for name in names)
    images, masks = files_by_stem(image_folder), files_by_stem(mask_folder)
    every = images
    if split is None and layout == "voc":  # most of its photographs have boxes only
        partners = match_names(images, masks, str(root))
        images = {stem: path for stem, path in images.items() if stem in partners}
    if split is None:
        samples, problems = _pair(images, masks, mask_folder)
    else:
        samples, problems = _pair_listed(_split_list(root, layout, split), images, masks)
    return _with_objects(samples, problems, every, object_folder)


def _with_objects(samples: list[Sample], problems: list[str], images: dict[str, Path], folder: Path) -> Pairing:
    """Add the files of numbered objects, where a set has a folder of them."""
    if not (folder.exists() or folder.is_symlink()):
        return samples, problems
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of masks whose values number the objects; move the file away")
    if all(is_system_file(path.name) for path in folder.iterdir()):
        return samples, problems
    objects = files_by_stem(folder)
    partners = match_names(images, objects, str(folder))
    alone = sorted(objects.keys() - set(partners.values()))
    problems += [f"{objects[stem]}: numbers the objects of no image; name it like its image" for stem in alone]
    found = {name: objects[partner] for name, partner in partners.items()}
    return [replace(sample, objects=found.get(sample.image.stem)) for sample in samples], problems


def _find_camvid(root: Path, split: str | None) -> Pairing:
    """Pair ``SPLIT/`` with ``SPLITannot/``, or as ``SPLIT.txt`` says; for one split or for all."""
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
    """Match by stem, sorted; every file must have its partner."""
    partners = match_names(images, masks, str(mask_folder.parent))
    samples = [Sample(stem, images[stem], masks[partners[stem]]) for stem in sorted(partners)]
    alone = sorted(masks.keys() - set(partners.values()))
    # X_mask or gt-X, found by taking a word off either end
    alike = {re.sub(end, "", name): masks[name] for name in alone for end in (r"[-_. ][^-_. ]*$", r"^[^-_. ]*[-_. ]")}
    problems = []
    for stem in sorted(images.keys() - partners.keys()):
        found = alike.get(stem)
        advice = f"rename {found} to {stem}{found.suffix}" if found else f"put {stem}.png into {mask_folder}"
        problems.append(f"{images[stem]}: has no mask; {advice}, or move the image away")
    problems += [f"{masks[stem]}: a mask without an image; move it away, or name it like its image" for stem in alone]
    return samples, problems


def _pair_listed(path: Path, images: dict[str, Path], masks: dict[str, Path]) -> Pairing:
    """Match the names of a split's list; files that are not listed may lack their partner."""

    def pair(name: str) -> Sample | str:
        image, mask = find_by_name(name, images, str(path)), find_by_name(name, masks, str(path))
        last = PurePosixPath(name.replace("\\", "/")).name  # of a path, as many programs list their files
        if not (image or mask) and last != name:
            image, mask = find_by_name(last, images, str(path)), find_by_name(last, masks, str(path))
        if image and mask:
            return Sample(image.stem, image, mask)
        missing = "mask" if image else "image"
        return f"there is no {missing} named {name!r}; correct or remove the line"

    return _pair_lines(path, pair, "one file name without its ending a line")


def _pair_paths(root: Path, path: Path) -> Pairing:
    """Match the lines ``IMAGE MASK`` of a list, paths of another computer.

    The last folder and the name count: ``/SegNet/CamVid/train/x.png`` is ``train/x.*`` here, with any ending.
    """
    stems = lru_cache(files_by_stem)

    def here(text: str) -> Path | None:
        there = PurePosixPath(text.replace("\\", "/"))
        files = stems(find_entry(root, there.parent.name))
        return find_by_name(there.stem, files, str(path))

    def pair(line: str) -> Sample | str:
        words = line.split()
        if len(words) != 2:
            return f"expected the paths of an image and its mask, got {line!r}; correct or remove the line"
        image, mask = here(words[0]), here(words[1])
        if image is None or mask is None:
            missing = PurePosixPath((words[0] if image is None else words[1]).replace("\\", "/"))
            where = Path(missing.parent.name, missing.stem)
            return f"there is no {'image' if image is None else 'mask'} {where}.*; correct or remove the line"
        return Sample(image.stem, image, mask)

    return _pair_lines(path, pair, "the paths of an image and its mask a line")


def _pair_lines(path: Path, pair: Callable[[str], Sample | str], expected: str) -> Pairing:
    """Make a sample of every line of a list, in its order; ``pair`` returns what is wrong with a line as words."""
    samples: dict[str, Sample] = {}
    problems = []
    for number, line in numbered_lines(path):
        if is_system_file(line):  # `ls` lists Thumbs.db too
            continue
        made = pair(line)
        if isinstance(made, str):
            problems.append(f"{path}, line {number}: {made}")
        elif made.name in samples:
            problems.append(f"{path}, line {number}: {made.name!r} is listed twice; remove one line")
        else:
            samples[made.name] = made
    if not samples and not problems:
        raise UserError(f"{path}: lists no images; write {expected}")
    return list(samples.values()), problems


def _split_list(root: Path, layout: Layout, split: str) -> Path:
    path = find_entry(_lists_of(root, layout), f"{split}.txt")
    if not path.exists():
        splits = available_splits(root, layout)
        leave = f"leave {option('split')} out"
        advice = f"choose one of {', '.join(splits)}" if splits else f"write one image name a line, or {leave}"
        raise UserError(f"{path}: no such file; {advice}")
    return path


def files_by_stem(folder: Path) -> dict[str, Path]:
    """Return the image files of a folder by their names without ending."""
    files: dict[str, Path] = {}
    for path in sorted(existing_folder(folder).iterdir()):
        if not is_image_file(path):
            continue
        if path.stem in files:
            raise UserError(f"{path}: {files[path.stem].name} has the same name but for its ending; rename one")
        files[path.stem] = path
    if not files:
        raise UserError(f"{folder}: no image files in it (looked for .png, .jpg, .tif{ENDINGS}{_left_words(folder)}")
    return files


ENDINGS = ", .webp and what else Pillow reads)"


def is_image_file(path: Path) -> bool:
    """Return whether a file's name is one of an image that can be read."""
    return path.suffix.lower() in readable_suffixes() and not is_system_file(path.name) and path.is_file()


def unreadable_files(folder: Path) -> list[Path]:
    """Return the entries of a folder that are neither read as images nor folders nor the system's, sorted."""
    entries = sorted(path for path in folder.iterdir() if not is_system_file(path.name))
    return [path for path in entries if not path.is_dir() and not is_image_file(path)]


def describe_unreadable(paths: Sequence[Path]) -> str:
    """Say how many files are left out and name the first three."""
    kinds = [f"{path.name} ({kind[0]})" if (kind := _kind(path)) else path.name for path in paths[:3]]
    names = ", ".join(kinds) + (", …" if len(paths) > 3 else "")
    return f"{len(paths)} file{'' if len(paths) == 1 else 's'} of kinds that cannot be read as images: {names}"


def _kind(path: Path) -> tuple[str, str] | None:
    with suppress(OSError):
        return detect_file_type_of(path) if path.is_file() else None
    return None


def _left_words(folder: Path) -> str:
    """Return what to add to a message about a folder without images."""
    paths = unreadable_files(folder)
    return f"; it holds {describe_unreadable(paths)}" if paths else ""


def existing_folder(folder: Path) -> Path:
    """Return the folder, or raise a UserError that says what a set looks like."""
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; expected images/ and masks/, with {option('layout', 'camvid')} train/ and "
            f"trainannot/, with {option('layout', 'voc')} JPEGImages/ and SegmentationClass/"
        )
    return folder
