"""Folders of images and masks: finding the pairs, and the set that they make."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.data.images import IMAGE_SUFFIXES, image_size, read_image
from scratchnet.data.masks import MaskFormat, read_mask
from scratchnet.errors import UserError

Layout: TypeAlias = Literal["folder", "camvid"]
"""``folder``: ``images/`` and ``masks/``, lists in ``splits/NAME.txt``. ``camvid``: ``NAME/`` beside ``NAMEannot/``,
the form in which the SegNet tutorial hands out CamVid."""

_ANNOTATION = "annot"


@dataclass(frozen=True)
class Sample:
    """One image file and its mask file."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class Dataset:
    """Labelled images in files, read when they are asked for."""

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    mask_format: MaskFormat = "index"
    mask_threshold: int = 127
    ignore_index: int | None = 255

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the samples: the files' names without their endings."""
        return tuple(sample.name for sample in self.samples)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of an image from its file's header."""
        return image_size(self.samples[index].image)

    def load_mask(self, index: int) -> Array:
        """Return one mask, (h, w) uint8 class indices."""
        return read_mask(
            self.samples[index].mask,
            format=self.mask_format,
            threshold=self.mask_threshold,
            classes=len(self.classes),
            ignore_index=self.ignore_index,
        )

    def load(self, index: int) -> tuple[Array, Array]:
        """Return one image (h, w, 3) uint8 with its mask (h, w) uint8.

        Raises
        ------
        UserError
            When a file cannot be read, or the two differ in size.
        """
        sample = self.samples[index]
        image, mask = read_image(sample.image), self.load_mask(index)
        if image.shape[:2] != mask.shape:
            raise UserError(
                f"{sample.image} is {image.shape[1]}×{image.shape[0]} but its mask {sample.mask} is "
                f"{mask.shape[1]}×{mask.shape[0]} pixels; export the mask in the image's size"
            )
        return image, mask


def open_dataset(
    root: Path | str,
    *,
    layout: Layout = "folder",
    split: str | None = None,
    mask_format: MaskFormat = "index",
    mask_threshold: int = 127,
    ignore_index: int | None = 255,
    classes: int | Sequence[str] | None = None,
) -> Dataset:
    """Open a folder of images and masks.

    Parameters
    ----------
    root : Path or str
        The folder.
    layout : {"folder", "camvid"}
        ``folder``: ``images/X.*`` belongs to ``masks/X.*``, whatever the two endings; ``splits/NAME.txt`` lists one
        name X a line. ``camvid``: ``NAME/X.*`` belongs to ``NAMEannot/X.*`` or ``NAMEannot/ann_X.*``.
    split : str or None
        The part of the set to open, ``"train"`` for example; None opens everything (in the layout ``camvid`` the
        names then start with the split's).
    mask_format, mask_threshold, ignore_index
        How to read the masks, see `read_mask`.
    classes : int, sequence of str or None
        Number or names of the classes. None: the lines of ``classes.txt``; without that file two-class formats have
        "background" and "foreground".

    Returns
    -------
    Dataset
        Samples in the order of the split's list, else sorted by name.

    Raises
    ------
    UserError
        When a folder is missing or empty, an image lacks its mask or a mask its image, or the classes are unknown.
    """
    root = Path(root)
    samples, problems = find_samples(root, layout, split)
    if problems:
        others = "" if len(problems) == 1 else f" (and {len(problems) - 1} more; `scratchnet data check` lists them)"
        raise UserError(problems[0] + others)
    names = read_classes(root, mask_format, classes)
    return Dataset(tuple(samples), names, mask_format, mask_threshold, ignore_index)


def split_dataset(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Divide a set at random into a training and a validation part, for folders that come without lists.

    Parameters
    ----------
    dataset : Dataset
        The whole set, at least two samples.
    fraction : float
        Share of the validation part; each part gets one sample at least.
    seed : int
        The same seed gives the same parts.

    Returns
    -------
    (Dataset, Dataset)
        Training part and validation part, each in the order of the whole set.
    """
    if not 0 < fraction < 1:
        raise UserError(f"validation fraction {fraction}: expected a number between 0 and 1, for example 0.2")
    if len(dataset) < 2:
        raise UserError(f"{len(dataset)} image is too few for a training and a validation part; add images")
    held_out = min(max(round(len(dataset) * fraction), 1), len(dataset) - 1)
    order = generator(seed, "split").permutation(len(dataset))
    parts = (np.sort(order[held_out:]), np.sort(order[:held_out]))
    training, validation = (replace(dataset, samples=tuple(dataset.samples[i] for i in part)) for part in parts)
    return training, validation


def available_splits(root: Path | str, layout: Layout = "folder") -> list[str]:
    """Return the names of a folder's splits, sorted; an empty list where it has none."""
    root = _existing_folder(Path(root))
    if layout == "camvid":
        return sorted(
            folder.name
            for folder in root.iterdir()
            if folder.is_dir() and (root / f"{folder.name}{_ANNOTATION}").is_dir()
        )
    return sorted(path.stem for path in root.glob("splits/*.txt"))


def find_samples(root: Path, layout: Layout, split: str | None) -> tuple[list[Sample], list[str]]:
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
    images, masks = _files_by_stem(root / "images"), _files_by_stem(root / "masks")
    if split is None:
        return _pair(images, masks, root / "masks")
    return _pair_listed(_split_list(root, split), images, masks)


def read_classes(
    root: Path, mask_format: MaskFormat = "index", classes: int | Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the class names of a folder; parameters and errors as in `open_dataset`."""
    path = root / "classes.txt"
    listed = tuple(line for _, line in _lines(path)) if path.is_file() else None
    if classes is None:
        names = listed or (("background", "foreground") if mask_format in {"binary", "threshold"} else None)
        if names is None:
            raise UserError(f"{path}: no such file; write one class name a line, class 0 first, or pass --classes")
    elif isinstance(classes, int):
        if listed and len(listed) != classes:
            raise UserError(f"{path}: has {len(listed)} class names but {classes} classes were asked for; drop one")
        names = listed or tuple(f"class {index}" for index in range(classes))
    else:
        names = tuple(classes)
    return _checked_classes(path, names, mask_format)


def _checked_classes(path: Path, names: tuple[str, ...], mask_format: MaskFormat) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: the class name {twice!r} comes twice; give every class a name of its own")
    if not 2 <= len(names) <= 256:
        raise UserError(f"{path}: {len(names)} classes, expected 2 to 256; name the background too")
    if mask_format in {"binary", "threshold"} and len(names) != 2:
        raise UserError(
            f"{path}: {len(names)} classes, but the mask format `{mask_format}` tells two apart; use --mask-format "
            "index, or name two classes"
        )
    return names


def _find_camvid(root: Path, split: str | None) -> tuple[list[Sample], list[str]]:
    """Pair ``SPLIT/`` with ``SPLITannot/``, for one split or for all."""
    if split is not None:
        images, masks = _files_by_stem(root / split), _files_by_stem(root / f"{split}{_ANNOTATION}")
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


def _pair(images: dict[str, Path], masks: dict[str, Path], mask_folder: Path) -> tuple[list[Sample], list[str]]:
    """Match by stem, sorted; every file must have its partner."""
    samples = [Sample(stem, images[stem], masks[stem]) for stem in sorted(images.keys() & masks.keys())]
    problems = [
        f"{images[stem]}: has no mask; put {stem}.png into {mask_folder}, or move the image away"
        for stem in sorted(images.keys() - masks.keys())
    ]
    problems += [
        f"{masks[stem]}: a mask without an image; move it away, or name it like its image"
        for stem in sorted(masks.keys() - images.keys())
    ]
    return samples, problems


def _pair_listed(path: Path, images: dict[str, Path], masks: dict[str, Path]) -> tuple[list[Sample], list[str]]:
    """Match the names of a split's list, in its order; files that are not listed may lack their partner."""
    samples: dict[str, Sample] = {}
    problems = []
    for number, name in _lines(path):
        if name not in images or name not in masks:
            missing = "image" if name not in images else "mask"
            problems.append(f"{path}, line {number}: there is no {missing} named {name!r}; correct or remove the line")
        elif name in samples:
            problems.append(f"{path}, line {number}: {name!r} is listed twice; remove one line")
        else:
            samples[name] = Sample(name, images[name], masks[name])
    if not samples and not problems:
        raise UserError(f"{path}: lists no images; write one file name without its ending a line")
    return list(samples.values()), problems


def _split_list(root: Path, split: str) -> Path:
    path = root / "splits" / f"{split}.txt"
    if not path.is_file():
        splits = available_splits(root)
        advice = f"choose one of {', '.join(splits)}" if splits else "write one image name a line, or leave --split out"
        raise UserError(f"{path}: no such file; {advice}")
    return path


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a text file with their numbers, blank ones left out."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text; save it again as UTF-8") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _files_by_stem(folder: Path) -> dict[str, Path]:
    """Return the image files of a folder by their names without ending."""
    files: dict[str, Path] = {}
    for path in sorted(_existing_folder(folder).iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in files:
            raise UserError(f"{path}: {files[path.stem].name} has the same name but for its ending; rename one")
        files[path.stem] = path
    if not files:
        raise UserError(f"{folder}: no image files in it (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return files


def _existing_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected images/ and masks/, or train/ and trainannot/ (--layout)")
    return folder
