"""Metrics beyond the confusion matrix, over a whole data set: boundaries, and objects by size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Objects
from scratchnet.evaluation.boundaries import TOLERANCE, boundary_band, boundary_f1, mean_boundary_f1
from scratchnet.evaluation.metrics import Metrics, confusion_matrix, metrics, none_for_nan
from scratchnet.evaluation.sizes import SIZE_EDGES, ObjectScore, SizeBin, object_scores, regions, size_table
from scratchnet.utils.shape_checks import check_masks

BAND_WIDTH = 5.0
"""Width of the band on either side of the boundaries, in pixels."""


@dataclass(frozen=True)
class Details:
    """Boundary and object metrics of a data set.

    Attributes
    ----------
    bf : float
        Boundary F1, see `mean_boundary_f1`.
    bf_per_class : tuple of float
    band : Metrics
        Metrics of the pixels in the band around the true boundaries.
    sizes : dict of str to SizeBin
        See `size_table`.
    """

    bf: float
    bf_per_class: tuple[float, ...]
    band: Metrics
    sizes: dict[str, SizeBin]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-compatible values, nan as None."""
        return {
            "bf": none_for_nan(self.bf),
            "bf_per_class": [none_for_nan(score) for score in self.bf_per_class],
            "band": {
                name: none_for_nan(getattr(self.band, name)) for name in ("accuracy", "mean_accuracy", "mean_iou")
            },
            "sizes": {
                name: {"objects": each.objects, "iou": none_for_nan(each.iou)} for name, each in self.sizes.items()
            },
        }


@dataclass
class DetailCounter:
    """Accumulate `Details` over a data set, image by image.

    Attributes
    ----------
    classes : sequence of str
        Names of the classes. With two classes, or if the first is called "background", class 0 is not an object.
    ignore_index : int or None
    objects : callable or None
        (name of an image, its mask) → its objects; None: connected regions.
    tolerance : float
        Tolerance of boundary F1, as a fraction of the diagonal.
    band : float
        Width of the band in pixels.
    edges : (float, float)
        Size limits between small, medium and large objects.
    """

    classes: Sequence[str]
    ignore_index: int | None = 255
    objects: Callable[[str, Array], Objects] | None = None
    tolerance: float = TOLERANCE
    band: float = BAND_WIDTH
    edges: tuple[float, float] = SIZE_EDGES
    _outlines: list[Array] = field(default_factory=list)
    _objects: list[ObjectScore] = field(default_factory=list)
    _confusion: Array | int = 0

    def add(self, name: str, truth: Array, prediction: Array) -> None:
        """Add one image, given as (h, w) class indices."""
        check_masks("DetailCounter.add", truth, prediction)
        classes = len(self.classes)
        self._outlines.append(boundary_f1(truth, prediction, classes, self.ignore_index, self.tolerance))
        band = boundary_band(truth, self.band, self.ignore_index)
        self._confusion = self._confusion + confusion_matrix(truth[band], prediction[band], classes, None)
        if self.objects is None:
            objects = regions(truth, self._background(), self.ignore_index)
        else:
            objects = self.objects(name, truth)
        self._objects += object_scores(truth, prediction, objects, self.ignore_index)

    def result(self) -> Details:
        """Return the metrics of all images added so far, at least one."""
        bf, per_class = mean_boundary_f1(self._outlines)
        band = metrics(np.asarray(self._confusion))
        return Details(bf, tuple(per_class.tolist()), band, size_table(self._objects, self.edges))

    def _background(self) -> int | None:
        return 0 if len(self.classes) == 2 or self.classes[0] == "background" else None
