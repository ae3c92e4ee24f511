"""Masks with any values: a map from the stored values to classes, ``0=0 128=1 255=2`` or ``0=0 128=1 255=ignore``."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

MaskValues: TypeAlias = tuple[tuple[int, int | None], ...]
"""Pairs of a stored value and its class, or None for pixels that are ignored."""

IGNORE = "ignore"

MAX_LISTED = 32
"""Largest number of values for which a map is proposed; more are shades rather than classes."""


def parse_mask_values(words: Sequence[str]) -> MaskValues:
    """Return the map that words such as ``128=1`` describe.

    Raises
    ------
    ValueError
        With a description of what was expected.

    Examples
    --------
    >>> parse_mask_values(["0=0", "128=1", "255=ignore"])
    ((0, 0), (128, 1), (255, None))
    """
    pairs: dict[int, int | None] = {}
    for word in words:
        found = re.fullmatch(rf"(\d{{1,9}})=(\d{{1,3}}|{IGNORE})", word)
        if not found or (found[2] != IGNORE and int(found[2]) > 254):
            raise ValueError("VALUE=CLASS with a class from 0 to 254, or VALUE=ignore, for example 0=0 128=1 255=2")
        value = int(found[1])
        if value in pairs:
            raise ValueError(f"one class for the value {value}")
        pairs[value] = None if found[2] == IGNORE else int(found[2])
    if len({target for target in pairs.values() if target is not None}) < 2:
        raise ValueError("at least two classes, for example 0=0 255=1")
    return tuple(pairs.items())


def class_count(values: MaskValues) -> int:
    """Return the number of classes, one more than the highest."""
    return 1 + max(target for _, target in values if target is not None)


def apply_mask_values(path: Path | str, mask: Array, values: MaskValues, classes: int, ignored: int | None) -> Array:
    """Return the classes (h, w) uint8 of a mask of stored values (h, w).

    Parameters
    ----------
    path : Path or str
        For messages.
    mask : (h, w) of integers
    values : MaskValues
    classes : int
        Number of classes.
    ignored : int or None
        Value of ignored pixels in the result; None if every pixel needs a class.

    Raises
    ------
    UserError
        If the mask has a value without a class, or a class has no name.
    """
    if class_count(values) > classes:
        raise UserError(
            f"{option('mask_values')}: has the class {class_count(values) - 1}, but the {classes} classes are 0 to "
            f"{classes - 1}; correct one of the two"
        )
    known = {value: ignored if target is None else target for value, target in values}
    present, places = np.unique(mask, return_inverse=True)
    missing = [int(value) for value in present if known.get(int(value)) is None]
    if missing:
        shown = ", ".join(map(str, missing[:3])) + (f", … ({len(missing)} values)" if len(missing) > 3 else "")
        raise UserError(
            f"{path}: mask value {shown}, for which {option('mask_values')} has no class; add {missing[0]}=CLASS or "
            f"{missing[0]}={IGNORE}"
        )
    table = np.array([known[int(value)] for value in present], np.uint8)
    return table[places.reshape(mask.shape)]


def listed_values(values: Sequence[int]) -> str:
    """Return the first values as text: ``0, 128, 255``."""
    return ", ".join(map(str, values[:12])) + (", …" if len(values) > 12 else "")


def proposed_values(values: Sequence[int]) -> str | None:
    """Return a setting that gives each of these values a class, in their order; None if there are too many or one.

    >>> proposed_values([0, 128, 255])
    "mask_values=('0=0', '128=1', '255=2')"
    """
    if not 2 <= len(values) <= MAX_LISTED:
        return None
    return option("mask_values", tuple(f"{value}={index}" for index, value in enumerate(values)))
