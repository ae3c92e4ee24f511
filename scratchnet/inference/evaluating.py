"""Evaluation of a network on a set of images that it has not been trained on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from scratchnet.arrays import Array, get_array_module, to_device_of, to_host
from scratchnet.data import SampleSource, prefetch
from scratchnet.data.image_rows import ImageRows
from scratchnet.evaluation import DetailCounter, Details, Metrics, confusion_matrix, metrics
from scratchnet.evaluation.calibration import ReliabilityCounter
from scratchnet.evaluation.metrics import none_for_nan
from scratchnet.inference.combining import Predictor
from scratchnet.inference.prior import by_rows
from scratchnet.inference.segmentation import to_mask
from scratchnet.utils.errors import UserError

MAX_PIXELS = 1 << 19
"""Maximum number of pixels segmented together, in images of one size."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a network on a set of images.

    Attributes
    ----------
    confusion : (classes, classes)
        Confusion matrix over all images; row = truth.
    metrics : Metrics
        Metrics of that matrix.
    loss : float
        Mean cross-entropy over the counted pixels, without class weights; nan if masks were compared.
    scores : tuple of float
        Score of each image: IoU of the foreground for two classes (1 if there is none and none was predicted), mean IoU
        for more.
    details : Details or None
        Metrics of outlines and of objects by size, if they were requested.
    calibration_error : float or None
        Expected calibration error, see :mod:`scratchnet.evaluation.calibration`; None if it was not requested.
    """

    confusion: Array
    metrics: Metrics
    loss: float
    scores: tuple[float, ...]
    details: Details | None = None
    calibration_error: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the measures under their own names, ready for JSON."""
        details = {} if self.details is None else self.details.to_dict()
        error = self.calibration_error
        calibration = {} if error is None else {"expected_calibration_error": none_for_nan(error)}
        loss = none_for_nan(self.loss)
        return {"images": len(self.scores), **self.metrics.to_dict(), "loss": loss, **calibration, **details}


def evaluate(
    predictor: Predictor,
    source: SampleSource,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
    counter: DetailCounter | None = None,
    observe: Callable[[str, Array, Array], None] | None = None,
    calibration: ReliabilityCounter | None = None,
) -> Evaluation:
    """Segment every image of a set and compare it with its mask.

    Parameters
    ----------
    predictor : Predictor
    source : SampleSource
    progress : callable
        Wraps the sequence of image indices, to show a progress bar.
    counter : DetailCounter or None
        Also counts outlines and objects, which takes longer than the confusion matrix.
    observe : callable or None
        Function (name, true mask, predicted mask) that is called for each image.
    calibration : ReliabilityCounter or None
        Also computes the expected calibration error, with its bins.
    """
    sums = _Sums(source)
    for names, images, masks in _batches(source, progress):
        counted = _counted(source, masks)
        found = _segmented(predictor, names, images, np.where(counted, masks, 0))
        sums.add(masks, counted, found)
        for name, mask, prediction in zip(names, masks, found.masks, strict=True):
            if counter is not None:
                counter.add(name, mask, to_host(prediction))
            if observe is not None:
                observe(name, mask, to_host(prediction))
        if calibration is not None:
            calibration.add(to_host(found.confidence)[counted], to_host(found.masks)[counted] == masks[counted])
    details = None if counter is None else counter.result()
    error = None if calibration is None else calibration.result().expected_calibration_error()
    loss = sums.loss / max(1, sums.pixels)
    return Evaluation(sums.confusion, metrics(sums.confusion), loss, tuple(sums.scores), details, error)


class _Sums:
    """Confusion matrix, cross-entropy and counted pixels of all images so far, and the score of each image."""

    def __init__(self, source: SampleSource) -> None:
        self.classes, self.ignore_index = len(source.classes), source.ignore_index
        self.confusion = np.zeros((self.classes, self.classes), np.int64)
        self.loss, self.pixels, self.scores = 0.0, 0, list[float]()

    def add(self, masks: Array, counted: Array, found: "_Predicted") -> None:
        """Add images, given their masks and which pixels count, both (n, h, w)."""
        for mask, prediction in zip(masks, found.masks, strict=True):
            truth = to_device_of(prediction, mask)
            confusion = to_host(confusion_matrix(truth, prediction, self.classes, self.ignore_index))
            self.confusion += confusion
            self.scores.append(image_score(confusion))
        self.loss += _summed_loss(found.chosen[to_device_of(found.chosen, counted)])
        self.pixels += int(counted.sum())


class _Predicted(NamedTuple):
    """The most probable class (n, h, w), and the probabilities (n, h, w) of the label and of that class."""

    masks: Array
    chosen: Array
    confidence: Array


def _summed_loss(chosen: Array) -> float:
    """Return the sum of the cross-entropy, given the probabilities of the true classes."""
    xp = get_array_module(chosen)
    return -float(xp.log(xp.maximum(chosen, 1e-12), dtype=xp.float64).sum())


def _counted(source: SampleSource, masks: Array) -> Array:
    """Return which pixels count: values that are no class are ignored, and so may be a class, such as CamVid's void."""
    ignored = -1 if source.ignore_index is None else source.ignore_index
    counted: Array = (masks < len(source.classes)) & (masks != ignored)
    return counted


def _segmented(predictor: Predictor, names: Sequence[str], images: Array, labels: Array) -> _Predicted:
    """Return the result of `_predicted`; its errors name the image."""
    try:
        return _predicted(predictor, names, images, labels)
    except UserError as error:
        raise _named(predictor, names, images, error) from error


def _predicted(predictor: Predictor, names: Sequence[str], images: Array, labels: Array) -> _Predicted:
    """Return the most probable class of every pixel and two probabilities.

    If the predictor works by rows, the probabilities of all classes are held for some rows at a time.
    """
    if (rows_of := by_rows(predictor, *images.shape[1:3])) is None:
        return _looked_up(predictor.probabilities(images, names), labels)
    found = _Predicted(np.empty(labels.shape, np.uint8), *(np.empty(labels.shape, np.float32) for _ in range(2)))
    for i, image in enumerate(images):
        top = 0
        for maps in rows_of.probability_rows(ImageRows.from_array(image)):
            rows = slice(top, top + len(maps))
            for whole, part in zip(found, _looked_up(maps, labels[i, rows]), strict=True):
                whole[i, rows] = part
            top += len(maps)
    return found


def _looked_up(maps: Array, labels: Array) -> _Predicted:
    """Return the result for maps (…, classes) and labels (…)."""
    xp = get_array_module(maps)
    places = to_device_of(maps, labels[..., None]).astype(xp.int64)
    return _Predicted(to_mask(maps), xp.take_along_axis(maps, places, axis=-1)[..., 0], maps.max(axis=-1))


def image_score(confusion: Array) -> float:
    """Return one image's IoU: of the foreground for two classes, the mean over the occurring classes for more."""
    if not confusion.sum():  # every pixel is ignored
        return float("nan")
    found = metrics(confusion)
    if len(found.iou) > 2:
        return found.mean_iou
    return 1.0 if np.isnan(found.iou[1]) else found.iou[1]


def _named(predictor: Predictor, names: Sequence[str], images: Array, error: UserError) -> UserError:
    """Return the error with the name of the image in the group that causes it."""
    for name, image in zip(names, images, strict=True):
        try:
            predictor.check(image, name)
        except UserError as its_own:
            return UserError(f"{name}: {its_own}")
    return UserError(f"{names[0]}: {error}")


def _batches(
    source: SampleSource, progress: Callable[[Sequence[int]], Iterable[int]]
) -> Iterator[tuple[list[str], Array, Array]]:
    """Yield names, images and masks of neighbours of one size; the next batch is read in the background."""
    group: list[tuple[str, Array, Array]] = []
    names = source.names

    def joined() -> tuple[list[str], Array, Array]:
        return [g[0] for g in group], np.stack([g[1] for g in group]), np.stack([g[2] for g in group])

    for index, (image, mask) in enumerate(prefetch(progress(range(len(source))), source.load)):
        full = group and (len(group) + 1) * mask.size > MAX_PIXELS
        if group and (full or group[0][2].shape != mask.shape):
            yield joined()
            group = []
        group.append((names[index], image, mask))
    if group:
        yield joined()
