"""Contents of an export: classes, and images with labelled regions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.importing.shapes import Shape
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

IGNORED = 255
"""Mask value of pixels that do not count."""

MAX_CLASSES = 255
"""Maximum number of classes, since 255 is the value of ignored pixels."""

_BACKGROUND = {"background", "_background_", "__background__"}
_IGNORED = {"__ignore__", "_ignore_"}


class Region(NamedTuple):
    """Shapes of one class, or `IGNORED`.

    ``number`` is that of the object, 1, 2, …; regions with the same number belong to one object, and 0 is none.
    """

    label: int
    shapes: tuple[Shape, ...]
    number: int


class LabelledImage(NamedTuple):
    """An image file, or the content of one, with its regions in the order in which they are drawn.

    ``size`` is the (height, width) stated by the export, or None.
    """

    image: Path | bytes
    suffix: str
    size: tuple[int, int] | None
    regions: Sequence[Region]


class Entry(NamedTuple):
    """An image of an export, which is read on demand: ``load`` raises a UserError for an unreadable one."""

    name: str
    load: Callable[[], LabelledImage]


@dataclass(frozen=True)
class Export:
    """An export of a labelling tool.

    Attributes
    ----------
    summary : str
        Format and number of files: ``"labelme: 40 JSON files"``.
    classes : tuple of str
        Names of the classes, background first.
    entries : sequence of Entry
    problems : sequence of str
        One message for every file that could not be read.
    has_objects : bool
        Whether the regions are objects, else only classes are known.
    splits : mapping of str to sequence of str
        Names of the images of every split.
    remarks : sequence of str
        What the user should know besides.
    """

    summary: str
    classes: tuple[str, ...]
    entries: Sequence[Entry]
    problems: Sequence[str]
    has_objects: bool = True
    splits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    remarks: Sequence[str] = ()


def assign_classes(labels: Iterable[str], classes: Sequence[str] | None) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the names of the classes, and the mask value of every label.

    Labels ``background`` and ``_background_`` are class 0, and ``__ignore__`` is `IGNORED`.

    Parameters
    ----------
    labels : iterable of str
        Labels of the export in the order of their classes.
    classes : sequence of str or None
        Names of the classes, background first; None takes ``background`` and the labels.

    Raises
    ------
    UserError
        When ``classes`` lacks a label, a name is empty or occurs twice, or there are too few or too many classes.
    """
    labels = list(dict.fromkeys(labels))
    foreground = [label for label in labels if label.casefold() not in _BACKGROUND | _IGNORED]
    names = ("background", *foreground) if classes is None else tuple(classes)
    twice = next((name for name in names if names.count(name) > 1 or not name.strip()), None)
    if twice is not None:
        raise UserError(f"the class name {twice!r} is empty or occurs twice; give every class a different name")
    if not 2 <= len(names) <= MAX_CLASSES:
        raise UserError(
            f"{len(names)} classes ({', '.join(names[:3])} …), expected 2 to {MAX_CLASSES} with the background"
        )
    values = {name: index for index, name in enumerate(names)}
    unknown = [label for label in foreground if label not in values]
    if unknown:
        raise UserError(f"{option('classes')} lacks the label {unknown[0]!r} of the export; add it")
    for label in labels:
        if label not in values:
            values[label] = IGNORED if label.casefold() in _IGNORED else 0
    return names, values


def corners(points: object, minimum: int, name: str) -> Array:
    """Return points (n, 2) float64 from JSON.

    Raises
    ------
    UserError
        When they are not at least ``minimum`` pairs of numbers between -2²⁴ and 2²⁴.
    """
    try:
        array = np.array(points, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1:] != (2,) or len(array) < minimum or not (abs(array) <= 1 << 24).all():
        raise UserError(f"{name}: expected at least {minimum} points of two numbers x, y")
    return array
