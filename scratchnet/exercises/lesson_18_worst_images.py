"""Exercise of lesson 18 about error analysis: the images with the lowest IoU."""

from collections.abc import Callable, Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake


def worst_images(truths: Array, predictions: Array, classes: int, count: int) -> tuple[Array, Array]:
    """Return the indices of the count images with the lowest mean IoU, the worst first, and their mean IoUs.

    truths and predictions are (n, h, w). The mean of an image runs over the classes that occur in its truth or in its
    prediction; a class that occurs in neither is left out. Pixels with the label 255 in the truth are ignored. Of
    images with equal mean IoU, the one with the lower index comes first.
    """
    means = []
    for truth, prediction in zip(truths, predictions, strict=True):
        true, found = truth[truth != 255], prediction[truth != 255]
        ious = [
            ((true == c) & (found == c)).sum() / ((true == c) | (found == c)).sum()
            for c in range(classes)
            if ((true == c) | (found == c)).any()
        ]
        means.append(np.mean(ious))
    order = np.argsort(means, kind="stable")[:count]
    return order, np.array(means)[order]


def _worst_cases(rng: np.random.Generator) -> Iterator[Case]:
    truths = np.array([[[0, 0, 1, 1]], [[0, 0, 0, 0]], [[0, 1, 2, 2]]], np.uint8)
    predictions = np.array([[[0, 0, 0, 1]], [[0, 0, 0, 1]], [[0, 1, 2, 2]]], np.uint8)
    yield Case("worst_images", (truths, predictions, 3, 2), "the case by hand, three images of four pixels")
    truths = rng.choice(4, (7, 5, 6), p=(0.6, 0.2, 0.15, 0.05)).astype(np.uint8)
    truths[2:5][truths[2:5] == 3] = 0
    wrong = rng.random(truths.shape) < rng.uniform(0.05, 0.6, (7, 1, 1))
    predictions = np.where(wrong, rng.integers(0, 3, truths.shape), truths).astype(np.uint8)
    yield Case("worst_images", (truths, predictions, 4, 3), "seven images, four classes")
    yield Case("worst_images", (truths, predictions, 6, 7), "classes that never occur")
    ignored = np.where(rng.random(truths.shape) < 0.3, 255, truths).astype(np.uint8)
    yield Case("worst_images", (ignored, predictions, 4, 4), "ignored pixels")
    twice = np.concatenate([predictions[3:], predictions[3:]])
    yield Case("worst_images", (np.concatenate([truths[3:]] * 2), twice, 4, 5), "images with equal results")


def _mean_ious(truths: Array, predictions: Array, classes: int, empty: float | None, ignore: bool = True) -> Array:
    means = []
    for truth, prediction in zip(truths, predictions, strict=True):
        counted = (truth != 255) if ignore else np.ones(truth.shape, bool)
        ious = []
        for c in range(classes):
            both, either = ((truth == c) & (prediction == c))[counted], ((truth == c) | (prediction == c))[counted]
            if either.any():
                ious.append(both.sum() / either.sum())
            elif empty is not None:
                ious.append(empty)
        means.append(np.mean(ious))
    return np.array(means)


def _worst(
    empty: float | None = None, ignore: bool = True, sign: int = 1
) -> Callable[[Array, Array, int, int], tuple[Array, Array]]:
    """Return ``worst_images`` with another value for absent classes, with ignored pixels, or with the best images."""

    def wrong(truths: Array, predictions: Array, classes: int, count: int) -> tuple[Array, Array]:
        means = _mean_ious(truths, predictions, classes, empty, ignore)
        order = np.argsort(sign * means, kind="stable")[:count]
        return order, means[order]

    return wrong


EXERCISES = (
    Exercise(
        "18_worst_images",
        "The worst images",
        "Sort images by their mean IoU, to look at the worst. Mind the classes that an image does not have.",
        (worst_images,),
        _worst_cases,
        (
            Mistake(
                "Yours counts an absent class as an IoU of 0; images with few classes then look bad. Leave it out.",
                {"worst_images": _worst(empty=0.0)},
            ),
            Mistake(
                "Yours counts an absent class as an IoU of 1; images with few classes then look good. Leave it out.",
                {"worst_images": _worst(empty=1.0)},
            ),
            Mistake(
                "Yours counts ignored pixels as errors; leave out the pixels whose truth is 255.",
                {"worst_images": _worst(ignore=False)},
            ),
            Mistake(
                "Yours returns the best images; the worst have the lowest IoU.",
                {"worst_images": _worst(sign=-1)},
            ),
        ),
        (
            "A class is absent if no pixel has it in the truth or in the prediction: (either).any() is false.",
            'np.argsort(means, kind="stable") sorts ascending and keeps equal values in their order.',
        ),
        results={"worst_images": ("indices", "mean IoUs")},
    ),
)
