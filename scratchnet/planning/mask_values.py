"""Recognise the format of the masks from their values, if the user has not given it.

The format of masks is declared, never guessed; two cases leave nothing to guess. Masks that hold exactly 0 and 255 are
black and white, and masks that hold 0, 1, …, K are class indices. Anything else is refused with the flag to give.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array
from scratchnet.config import DataSettings
from scratchnet.data.class_names import find_class_file, read_class_list
from scratchnet.data.image_files import open_image
from scratchnet.data.layouts import Sample
from scratchnet.data.mask_values import listed_values, proposed_values
from scratchnet.data.masks import MaskFormat, read_mask
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option


@dataclass(frozen=True)
class MaskReading:
    """Settings with which the masks can be read, and what there is to say about them.

    Attributes
    ----------
    data : DataSettings
    remarks : tuple of str
        One line for each setting that was chosen here.
    """

    data: DataSettings
    remarks: tuple[str, ...] = ()


def recognize_masks(data: DataSettings, given: frozenset[str], samples: Sequence[Sample]) -> MaskReading:
    """Choose the mask format and the number of classes, unless they are given.

    Parameters
    ----------
    data : DataSettings
    given : frozenset of str
        Names of the settings that the user has given.
    samples : sequence of Sample
        All of them: a class may occur in a single mask.

    Raises
    ------
    UserError
        With the flag to give, if the masks can be read in more than one way.
    """
    root, remarks = Path(data.data), list[str]()
    two = _names(root) in (0, 2) and data.classes in (None, 2)
    if (
        two
        and not given & {"mask_format", "mask_threshold", "mask_values"}
        and all(_is_black_and_white(s.mask) for s in samples)
    ):
        data = replace(data, mask_format="binary")
        remarks.append(f"all masks hold 0 and 255 only, so 255 is the foreground ({option('mask_format', 'binary')})")
    two = data.mask_format in ("binary", "threshold") or data.mask_threshold is not None or bool(data.mask_values)
    if two or _names(root) or data.classes is not None or data.layout == "voc":
        return MaskReading(data, tuple(remarks))
    count = _count_classes(root, data, samples)
    names = ", ".join(f"class {index}" for index in range(min(count, 4))) + (", …" if count > 4 else "")
    remarks.append(
        f"{root / 'classes.txt'} does not exist; the masks hold {count} classes, called {names} "
        f"({option('classes', count)})"
    )
    return MaskReading(replace(data, classes=count), tuple(remarks))


def recognize_readable(data: DataSettings, given: frozenset[str], samples: Sequence[Sample]) -> MaskReading:
    """Return what `recognize_masks` does for the masks that can be read; ``data`` unchanged if it leaves a choice."""
    readable = []
    for sample in samples:
        with suppress(UserError), open_image(sample.mask):
            readable.append(sample)
    if readable:
        with suppress(UserError):
            return recognize_masks(data, given, readable)
    return MaskReading(data)


def _names(root: Path) -> int:
    """Return the number of names in the class file; 0 without one."""
    path = find_class_file(root)
    return len(read_class_list(path).names) if path else 0


def _is_black_and_white(path: Path) -> bool:
    """Return whether a mask holds 0 and 255 only, as grey values; False for palettes in colour and lossy files."""
    with open_image(path) as (image, header):
        if header.lossy or image.mode not in {"L", "RGB", "1"}:
            return False
        if image.mode == "1":  # a file of one bit holds 0 and 1, which are indices as well
            return False
        pixels = np.array(image)
    grey = pixels if pixels.ndim == 2 else pixels[:, :, 0]
    if pixels.ndim == 3 and not (pixels == grey[:, :, None]).all():
        return False
    return bool(np.isin(np.unique(grey), (0, 255)).all())


def _count_classes(root: Path, data: DataSettings, samples: Sequence[Sample]) -> int:
    """Return the number of classes in masks of indices: their values must be 0, 1, …, K."""
    seen = np.zeros(256, bool)
    for sample in samples:
        mask = read_mask(sample.mask, format=data.mask_format, classes=256, ignore_index=None)
        seen |= np.bincount(mask.ravel(), minlength=256) > 0
    every = np.flatnonzero(seen).tolist()
    seen[data.ignore_index] = False
    values = np.flatnonzero(seen)
    if len(values) == 0 or not np.array_equal(values, np.arange(len(values))):
        spread = len(values) > 0 and int(values.max()) > 4 * len(values)
        shown = listed_values(every if spread else values.tolist()) or "none"
        advice = _advice_on_spread(every, data.mask_format) if spread else _advice_on_gaps(values)
        raise UserError(f"{root}: the masks hold the values {shown}, not 0, 1, 2, …; {advice}")
    return max(2, len(values))


def _advice_on_spread(values: Sequence[int], mask_format: MaskFormat) -> str:
    """Return how to read masks with values such as 0, 128 and 255."""
    shades = f"{option('mask_threshold', 127)} if they are shades of one object on black"
    proposed = proposed_values(values)
    if proposed is None:
        return f"use {shades}; `scratchnet data import` turns colours into classes"
    form = "" if mask_format == "index" else f"{option('mask_format', mask_format)} "
    return f"use {form}{proposed} if each value is a class, or {shades}"


def _advice_on_gaps(values: Array) -> str:
    """Return how to read masks with values such as 0, 1 and 3."""
    highest = int(values.max()) if len(values) else 1
    unused = f"use {option('classes', highest + 1)} if the missing ones are classes that do not occur"
    proposed = proposed_values(values.tolist())
    return f"{unused}, else {proposed}" if proposed else unused
