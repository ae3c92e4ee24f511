"""Tables of measured objects as CSV, and their summary by image and class."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Objects

TABLE, SUMMARY = "table of objects", "summary of objects"
"""Kinds of the files."""


def csv_bytes(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as CSV in UTF-8: numbers with eight significant digits, None as an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def table_rows(image: str, table: Mapping[str, Sequence[Any]]) -> Iterable[list[Any]]:
    """Yield a row for every object of one image, given the columns of `measure_objects`."""
    for values in zip(*table.values(), strict=True):
        yield [image, *values]


class Summary:
    """Numbers and areas of objects by image and class.

    Parameters
    ----------
    classes : sequence of str
        Names of the classes.
    listed : sequence of int or None
        Classes that have a row even without objects; None: those with an object in some image.
    pixel_size : float or None
        Side of a pixel in µm; adds areas in µm².
    """

    def __init__(
        self, classes: Sequence[str], listed: Sequence[int] | None = None, pixel_size: float | None = None
    ) -> None:
        self.classes, self.listed, self.pixel_size = classes, listed, pixel_size
        self.images: list[str] = []
        self._areas: list[dict[int, list[int]]] = []
        self._pixels: list[int] = []

    def add(self, image: str, objects: Objects, pixels: int) -> None:
        """Add the objects of one image, which has ``pixels`` pixels without ignored ones."""
        sizes: Array = np.bincount(objects.instances.ravel())
        areas: dict[int, list[int]] = {}
        for number, label in objects.labels.items():
            areas.setdefault(label, []).append(int(sizes[number]))
        self.images.append(image)
        self._areas.append(areas)
        self._pixels.append(pixels)

    def columns(self) -> list[str]:
        """Return the names of the columns of `rows`."""
        physical = [] if self.pixel_size is None else ["area_um2", "mean_area_um2"]
        return ["image", "class", "objects", "area_px", "mean_area_px", *physical, "coverage"]

    def rows(self) -> list[list[Any]]:
        """Return a row for every image and class: number of objects, total and mean area, fraction of the image."""
        labels = self.labels()
        return [
            [image, *self._row(label, areas.get(label, []), pixels)]
            for image, areas, pixels in zip(self.images, self._areas, self._pixels, strict=True)
            for label in labels
        ]

    def totals(self) -> list[dict[str, Any]]:
        """Return the same over all images, a dict by column for every class, without ``image``."""
        names = self.columns()[1:]
        return [
            dict(zip(names, self._row(label, self.areas(label), sum(self._pixels)), strict=True))
            for label in self.labels()
        ]

    def labels(self) -> list[int]:
        """Return the classes that have rows."""
        found = {label for areas in self._areas for label in areas}
        return sorted(found | set(self.listed or ()))

    def areas(self, label: int) -> list[int]:
        """Return the areas of a class's objects in all images, in pixels."""
        return [area for areas in self._areas for area in areas.get(label, [])]

    def count(self, index: int) -> int:
        """Return the number of objects of one image."""
        return sum(map(len, self._areas[index].values()))

    def _row(self, label: int, areas: Sequence[int], pixels: int) -> list[Any]:
        total = sum(areas)
        mean = total / len(areas) if areas else None
        size = None if self.pixel_size is None else self.pixel_size**2
        physical = [] if size is None else [total * size, None if mean is None else mean * size]
        return [self.classes[label], len(areas), total, mean, *physical, total / pixels if pixels else None]


def _cell(value: Any) -> Any:
    """Return the text of a cell."""
    if value is None:
        return ""
    return f"{value:.8g}" if isinstance(value, float) else value
