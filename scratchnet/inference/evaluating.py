"""Evaluation of a network on a set of images that it has not been trained on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet.arrays import Array, get_array_module, to_device_of, to_host
from scratchnet.data import SampleSource, prefetch
from scratchnet.data.image_rows import ImageRows
from scratchnet.evaluation import DetailCounter, Details, Metrics, confusion_matrix, metrics
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
    """

    confusion: Array
    metrics: Metrics
    loss: float
    scores: tuple[float, ...]
    details: Details | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the measures under their own names, ready for JSON."""
        details = {} if self.details is None else self.details.to_dict()
        return {"images": len(self.scores), **self.metrics.to_dict(), "loss": none_for_nan(self.loss), **details}


def evaluate(
    predictor: Predictor,
    source: SampleSource,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
    counter: DetailCounter | None = None,
    observe: Callable[[str, Array, Array], None] | None = None,
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
    """
    classes = len(source.classes)
    total = np.zeros((classes, classes), np.int64)
    scores: list[float] = []
    loss, pixels = 0.0, 0
    for names, images, masks in _batches(source, progress):
        counted = _counted(source, masks)
        predictions, chosen = _segmented(predictor, names, images, np.where(counted, masks, 0))
        for name, mask, prediction in zip(names, masks, predictions, strict=True):
            truth = to_device_of(prediction, mask)
            confusion = to_host(confusion_matrix(truth, prediction, classes, source.ignore_index))
            total += confusion
            scores.append(image_score(confusion))
            if counter is not None:
                counter.add(name, mask, to_host(prediction))
            if observe is not None:
                observe(name, mask, to_host(prediction))
        loss += _summed_loss(chosen[to_device_of(chosen, counted)])
        pixels += int(counted.sum())
    details = None if counter is None else counter.result()
    return Evaluation(total, metrics(total), loss / max(1, pixels), tuple(scores), details)


def _summed_loss(chosen: Array) -> float:
    """Return the sum of the cross-entropy, given the probabilities of the true classes."""
    xp = get_array_module(chosen)
    return -float(xp.log(xp.maximum(chosen, 1e-12), dtype=xp.float64).sum())


def _counted(source: SampleSource, masks: Array) -> Array:
    """Return which pixels count: values that are no class are ignored, and so may be a class, such as CamVid's void."""
    ignored = -1 if source.ignore_index is None else source.ignore_index
    counted: Array = (masks < len(source.classes)) & (masks != ignored)
    return counted


def _segmented(predictor: Predictor, names: Sequence[str], images: Array, labels: Array) -> tuple[Array, Array]:
    """Return the result of `_predicted`; its errors name the image."""
    try:
        return _predicted(predictor, names, images, labels)
    except UserError as error:
        raise _named(predictor, names, images, error) from error


def _predicted(predictor: Predictor, names: Sequence[str], images: Array, labels: Array) -> tuple[Array, Array]:
    """Return the most probable class and the label's probability at every pixel, both (n, h, w).

    If the predictor works by rows, the probabilities of all classes are held for some rows at a time.
    """
    if (rows_of := by_rows(predictor, *images.shape[1:3])) is None:
        return _looked_up(predictor.probabilities(images, names), labels)
    predictions, chosen = np.empty(labels.shape, np.uint8), np.empty(labels.shape, np.float32)
    for i, image in enumerate(images):
        top = 0
        for maps in rows_of.probability_rows(ImageRows.from_array(image)):
            rows = slice(top, top + len(maps))
            predictions[i, rows], chosen[i, rows] = _looked_up(maps, labels[i, rows])
            top += len(maps)
    return predictions, chosen


def _looked_up(maps: Array, labels: Array) -> tuple[Array, Array]:
    """Return the most probable class, and the label's probability, of maps (…, classes) and labels (…)."""
    xp = get_array_module(maps)
    places = to_device_of(maps, labels[..., None]).astype(xp.int64)
    return to_mask(maps), xp.take_along_axis(maps, places, axis=-1)[..., 0]


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
