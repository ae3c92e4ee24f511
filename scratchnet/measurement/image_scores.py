"""Scores of single images: accuracy, IoU and Dice of each class, and errors of counting objects."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Objects
from scratchnet.evaluation.metrics import Metrics, confusion_matrix, metrics, none_for_nan
from scratchnet.measurement.separation import Separation, separate_objects

IMAGE_SCORES = "table of image scores"
"""Kind of the file."""


class ImageScore(NamedTuple):
    """Scores of one image, and its numbers of true and predicted objects by class."""

    name: str
    metrics: Metrics
    true: Counter[int]
    predicted: Counter[int]


@dataclass
class ImageScores:
    """Scores of the images of a data set, added one by one.

    Attributes
    ----------
    classes : sequence of str
        Names of the classes. With two classes, or if the first is called "background", class 0 is not an object.
    ignore_index : int or None
    objects : callable or None
        (name of an image, its mask) → its true objects; None: those of its mask, separated like the predicted ones.
    separation : Separation
        Rules for the separation of objects in masks; annotated objects that are too small do not count either.
    """

    classes: Sequence[str]
    ignore_index: int | None = 255
    objects: Callable[[str, Array], Objects] | None = None
    separation: Separation = field(default_factory=lambda: Separation(split=False))
    scores: list[ImageScore] = field(default_factory=list)

    def add(self, name: str, truth: Array, prediction: Array) -> None:
        """Add one image, given as (h, w) class indices."""
        confusion = confusion_matrix(truth, prediction, len(self.classes), self.ignore_index)
        ignored = np.zeros(truth.shape, bool) if self.ignore_index is None else truth == self.ignore_index
        seen = np.where(ignored, 255, prediction).astype(np.uint8)
        predicted = self._separated(seen, 255 if ignored.any() else None)
        if self.objects is None:
            true = self._separated(truth, self.ignore_index)
        else:
            found = self.objects(name, truth)
            pixels = np.bincount(found.instances.ravel())
            true = Counter(label for n, label in found.labels.items() if pixels[n] >= self.separation.min_area)
        self.scores.append(ImageScore(name, metrics(confusion), true, predicted))

    def counted(self) -> list[int]:
        """Return the classes whose objects are counted."""
        return list(range(0 if self._background() is None else 1, len(self.classes)))

    def count_errors(self) -> dict[str, dict[str, float]]:
        """Return, by class, the mean numbers of objects in an image and the errors predicted − true."""
        return {self.classes[label]: self._errors(label) for label in self.counted()}

    def columns(self) -> list[str]:
        """Return the names of the columns of `rows`."""
        counts = [self.classes[label] for label in self.counted()]
        return [
            *("image", "mean_iou", "accuracy"),
            *(f"{measure}_{name}" for measure in ("iou", "dice") for name in self.classes),
            *(
                f"{measure}_{name}"
                for measure in ("true_objects", "predicted_objects", "count_error")
                for name in counts
            ),
        ]

    def rows(self) -> list[list[Any]]:
        """Return a row for each image; None where a measure is undefined."""
        labels = self.counted()
        return [
            [
                *(s.name, none_for_nan(s.metrics.mean_iou), none_for_nan(s.metrics.accuracy)),
                *(none_for_nan(value) for value in (*s.metrics.iou, *s.metrics.dice)),
                *(s.true[label] for label in labels),
                *(s.predicted[label] for label in labels),
                *(s.predicted[label] - s.true[label] for label in labels),
            ]
            for s in self.scores
        ]

    def _errors(self, label: int) -> dict[str, float]:
        true = np.array([s.true[label] for s in self.scores])
        predicted = np.array([s.predicted[label] for s in self.scores])
        error = predicted - true
        return {
            "true": float(true.mean()),
            "predicted": float(predicted.mean()),
            "mean_error": float(error.mean()),
            "mean_absolute_error": float(np.abs(error).mean()),
        }

    def _separated(self, mask: Array, ignore_index: int | None) -> Counter[int]:
        """Return the number of objects of each class in a mask."""
        found = separate_objects(mask, self.separation, ignore_index, self._background())
        return Counter(found.objects.labels.values())

    def _background(self) -> int | None:
        return 0 if len(self.classes) == 2 or self.classes[0] == "background" else None
