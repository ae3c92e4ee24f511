"""Where a data set keeps its images, masks and lists: finding the pairs in three kinds of folders."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from scratchnet.data.images import IMAGE_SUFFIXES
from scratchnet.errors import UserError

Layout: TypeAlias = Literal["folder", "camvid", "voc"]
"""``folder``: ``images/`` and ``masks/``, lists in ``splits/NAME.txt``. ``camvid``: ``NAME/`` beside ``NAMEannot/``,
the form in which the SegNet tutorial hands out CamVid, with its lists ``NAME.txt`` if they are there. ``voc``:
``JPEGImages/`` and ``SegmentationClass/``, lists in ``ImageSets/Segmentation/NAME.txt``, as in Pascal VOC."""

_ANNOTATION = "annot"
_VOC_LISTS = Path("ImageSets", "Segmentation")

Found: TypeAlias = "tuple[list[Sample], list[str]]"
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
        return sorted(
            folder.name
            for folder in root.iterdir()
            if folder.is_dir() and (root / f"{folder.name}{_ANNOTATION}").is_dir()
        )
    return sorted(path.stem for path in (root / list_folder(layout)).glob("*.txt"))


def list_folder(layout: Layout) -> Path:
    """Return where, below its root, a set keeps one list of names a split."""
    return _VOC_LISTS if layout == "voc" else Path("splits")


def find_samples(root: Path, layout: Layout, split: str | None) -> Found:
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
    images, masks = (files_by_stem(root / name) for name in names[:2])
    if split is None and layout == "voc":  # most of its photographs have boxes only
        images = {stem: path for stem, path in images.items() if stem in masks}
    if split is None:
        samples, problems = _pair(images, masks, root / names[1])
    else:
        samples, problems = _pair_listed(_split_list(root, layout, split), images, masks)
    objects = {path.stem: path for path in (root / names[2]).glob("*.png")}
    return [replace(sample, objects=objects.get(sample.name)) for sample in samples], problems


def _find_camvid(root: Path, split: str | None) -> Found:
    """Pair ``SPLIT/`` with ``SPLITannot/``, or as ``SPLIT.txt`` says; for one split or for all."""
    if split is not None:
        if (root / f"{split}.txt").is_file():
            return _pair_paths(root, root / f"{split}.txt")
        if split not in (splits := available_splits(root, "camvid")):
            advice = f"; choose one of {', '.join(splits)}" if splits else "; check --layout"
            raise UserError(f"{root}: no pair of folders {split}/ and {split}{_ANNOTATION}/{advice}")
        images, masks = files_by_stem(root / split), files_by_stem(root / f"{split}{_ANNOTATION}")
        return _pair(images, _without_prefix(images, masks), root / f"{split}{_ANNOTATION}")
    splits = available_splits(root, "camvid")
    if not splits:
        raise UserError(f"{root}: no pair of folders like train/ and train{_ANNOTATION}/; check --layout")
    samples, problems = [], []
    for name in splits:
        found, wrong = _find_camvid(root, name)
        samples += [replace(sample, name=f"{name}-{sample.name}") for sample in found]
        problems += wrong
    return samples, problems


def _without_prefix(images: dict[str, Path], masks: dict[str, Path]) -> dict[str, Path]:
    """Rename masks ``ann_X`` to ``X`` where there is no image ``ann_X``."""
    return {stem if stem in images else stem.removeprefix("ann_"): path for stem, path in masks.items()}


def _pair(images: dict[str, Path], masks: dict[str, Path], mask_folder: Path) -> Found:
    """Match by stem, sorted; every file must have its partner."""
    samples = [Sample(stem, images[stem], masks[stem]) for stem in sorted(images.keys() & masks.keys())]
    alone = sorted(masks.keys() - images.keys())
    # X_mask or gt-X, found by taking a word off either end
    alike = {re.sub(end, "", name): masks[name] for name in alone for end in (r"[-_. ][^-_. ]*$", r"^[^-_. ]*[-_. ]")}
    problems = []
    for stem in sorted(images.keys() - masks.keys()):
        found = alike.get(stem)
        advice = f"rename {found} to {stem}{found.suffix}" if found else f"put {stem}.png into {mask_folder}"
        problems.append(f"{images[stem]}: has no mask; {advice}, or move the image away")
    problems += [f"{masks[stem]}: a mask without an image; move it away, or name it like its image" for stem in alone]
    return samples, problems


def _pair_listed(path: Path, images: dict[str, Path], masks: dict[str, Path]) -> Found:
    """Match the names of a split's list; files that are not listed may lack their partner."""

    def pair(name: str) -> Sample | str:
        if name in images and name in masks:
            return Sample(name, images[name], masks[name])
        missing = "image" if name not in images else "mask"
        stem = Path(name).stem
        if stem in images and stem in masks:
            return f"expected a name without its ending, got {name!r}; write {stem}"
        return f"there is no {missing} named {name!r}; correct or remove the line"

    return _pair_lines(path, pair, "one file name without its ending a line")


def _pair_paths(root: Path, path: Path) -> Found:
    """Match the lines ``IMAGE MASK`` of a list, paths of another computer.

    The last folder and the name count: ``/SegNet/CamVid/train/x.png`` is ``train/x.*`` here, with any ending.
    """
    stems = lru_cache(files_by_stem)

    def here(text: str) -> Path | None:
        there = PurePosixPath(text.replace("\\", "/"))
        return stems(root / there.parent.name).get(there.stem)

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


def _pair_lines(path: Path, pair: Callable[[str], Sample | str], expected: str) -> Found:
    """Make a sample of every line of a list, in its order; ``pair`` returns what is wrong with a line as words."""
    samples: dict[str, Sample] = {}
    problems = []
    for number, line in numbered_lines(path):
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
    path = root / list_folder(layout) / f"{split}.txt"
    if not path.is_file():
        splits = available_splits(root, layout)
        advice = f"choose one of {', '.join(splits)}" if splits else "write one image name a line, or leave --split out"
        raise UserError(f"{path}: no such file; {advice}")
    return path


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a text file with their numbers, blank ones left out."""
    lines = enumerate(read_text(path).splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def read_text(path: Path) -> str:
    """Return a text file's content, or raise a UserError when it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text; save it again as UTF-8") from error


def files_by_stem(folder: Path) -> dict[str, Path]:
    """Return the image files of a folder by their names without ending."""
    files: dict[str, Path] = {}
    for path in sorted(existing_folder(folder).iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in files:
            raise UserError(f"{path}: {files[path.stem].name} has the same name but for its ending; rename one")
        files[path.stem] = path
    if not files:
        raise UserError(f"{folder}: no image files in it (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return files


def existing_folder(folder: Path) -> Path:
    """Return the folder, or raise a UserError that says what a set looks like."""
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; expected images/ and masks/, with --layout camvid train/ and trainannot/, with "
            "--layout voc JPEGImages/ and SegmentationClass/"
        )
    return folder
