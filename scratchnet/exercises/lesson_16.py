"""Exercises of lesson 16: a box around an object, balanced classes, learning rate schedules."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake

Box = tuple[int, int, int, int]


def centred_box(instances: Array, number: int, context: float) -> tuple[int, int, int, int]:
    """Return the box (top, left, height, width) around an object, ``context`` times as high and as wide as it.

    instances (h, w) holds the number of an object at each of its pixels, and 0 elsewhere. The object's own box is the
    smallest one with all of its pixels. Multiply its sides by ``context``, which is at least 1, and round them with
    Python's ``round``. Half of the additional rows, rounded down, are above the object, and half of the additional
    columns, rounded down, are to its left. The box may extend beyond the image.
    """
    rows, columns = np.nonzero(instances == number)
    tall, wide = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    height, width = round(context * tall), round(context * wide)
    return int(rows.min()) - (height - tall) // 2, int(columns.min()) - (width - wide) // 2, height, width


def labels_alone(mask: Array, instances: Array, number: int, box: tuple[int, int, int, int]) -> Array:
    """Return the labels (height, width) of a box (top, left, height, width) with one object alone.

    mask (h, w) holds classes, and instances (h, w) the numbers of the objects. Pixels of the object keep their class,
    all others are background, 0. Pixels with the ignored label 255 in the mask keep it, and pixels of the box beyond
    the image get it.
    """
    top, left, height, width = box
    labels = np.full((height, width), 255)
    for i, j in np.ndindex(height, width):
        row, column = top + i, left + j
        if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
            kept = instances[row, column] == number or mask[row, column] == 255
            labels[i, j] = mask[row, column] if kept else 0
    return labels


def balance(labels: Array) -> Array:
    """Return the indices of examples, repeated until all classes are equally frequent.

    labels (n,) holds the class of each example. The classes follow each other in increasing order. The indices of a
    class are in increasing order, and start again from the first until there are as many as the most frequent class
    has: the labels [5, 2, 5, 5] give [1, 1, 1, 0, 2, 3].
    """
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    most = max(len(group) for group in groups)
    return np.concatenate([np.resize(group, most) for group in groups])


def poly_rates(updates: int, start: float, power: float) -> Array:
    """Return the learning rate of each update t = 0, 1, …, updates − 1: start · (1 − t/updates)^power."""
    rates: Array = start * (1 - np.arange(updates) / updates) ** power
    return rates


def plateau_rates(scores: Array, start: float, patience: int) -> Array:
    """Return the learning rate of each epoch, (n,), for a rate that falls when the validation score stops rising.

    scores (n,) are the validation scores after each epoch. The rate of epoch 0 is ``start``. When the score has not
    exceeded the best score so far for ``patience`` epochs in a row, the rate is divided by 10 from the next epoch on,
    and the counting of epochs starts anew. The best score stays the best.
    """
    rates, best, waited = [start], -np.inf, 0
    for score in scores[:-1]:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        dropped = waited >= patience
        rates.append(rates[-1] / 10 if dropped else rates[-1])
        waited = 0 if dropped else waited
    return np.array(rates)


def _scene(rng: np.random.Generator, h: int, w: int, boxes: list[Box]) -> tuple[Array, Array]:
    """Return a mask and instances with an object in each box; later ones cover earlier ones."""
    mask, instances = np.zeros((h, w), int), np.zeros((h, w), int)
    for number, (top, left, height, width) in enumerate(boxes, start=1):
        mask[top : top + height, left : left + width] = rng.integers(1, 4) + 4 * number
        instances[top : top + height, left : left + width] = number
    mask[0, 1] = mask[h - 2, w - 1] = mask[h // 2, w // 2] = 255
    return mask, instances


def _box_cases(rng: np.random.Generator) -> Iterator[Case]:
    instances = np.zeros((6, 9), int)
    instances[1:6, 4:9] = 1
    instances[1, 4:6] = instances[0, 3:5] = 2
    yield Case("centred_box", (instances, 1, 1.2), "the case by hand, 5×5 pixels")
    yield Case("labels_alone", (3 * (instances > 0), instances, 1, (1, 4, 6, 6)), "the case by hand, 5×5 pixels")
    boxes = [(2, 1, 4, 7), (5, 6, 6, 4), (0, 11, 3, 2), (10, 0, 2, 5)]
    mask, instances = _scene(rng, 12, 15, boxes)
    for number, context, words in (
        (1, 1.5, "an object partly hidden by another"),
        (2, 1.7, "an object that hides another"),
        (3, 2.4, "an object at the upper border"),
        (4, 2.0, "an object at the lower border"),
        (2, 1.0, "a box without context"),
    ):
        yield Case("centred_box", (instances, number, context), words)
        yield Case("labels_alone", (mask, instances, number, centred_box(instances, number, context)), words)


def _balance_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("balance", (np.array([1, 1, 2, 2, 2, 2, 2]),), "the case by hand, two examples and five")
    yield Case("balance", (np.array([5, 2, 5, 5]),), "the labels 5, 2, 5, 5")
    yield Case("balance", (np.array([7, 1, 3, 3, 1, 7]),), "three classes that are balanced")
    for sizes in ((3, 7, 2), (11, 4), (1, 2, 3, 8)):
        classes = rng.choice(np.arange(1, 20), len(sizes), replace=False)
        yield Case("balance", (rng.permutation(np.repeat(classes, sizes)),), f"classes of {sizes} examples")


def _schedule_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("poly_rates", (4, 0.8, 1.0), "a straight line from 0.8 in four updates")
    yield Case("poly_rates", (10, 0.01, 0.9), "ten updates, power 0.9")
    yield Case("poly_rates", (7, 3.0, 2.0), "seven updates, power 2")
    hand = np.array([0.2, 0.5, 0.4, 0.5, 0.3, 0.4, 0.6])
    yield Case("plateau_rates", (hand, 1.0, 2), "scores 0.2, 0.5, 0.4, 0.5, 0.3, 0.4, 0.6 and a patience of 2")
    yield Case("plateau_rates", (np.array([0.9, 0.1, 0.2, 0.3, 0.4, 0.5]), 0.1, 1), "a score that never returns")
    yield Case("plateau_rates", (np.array([0.3, 0.3, 0.3, 0.4, 0.4, 0.4]), 2.0, 2), "equal scores")
    for patience in (1, 2, 3):
        scores = np.round(rng.uniform(0, 1, 12), 1)
        yield Case("plateau_rates", (scores, 0.5, patience), f"twelve random scores and a patience of {patience}")


def _one_sided(instances: Array, number: int, context: float) -> Box:
    _, _, height, width = centred_box(instances, number, context)
    return (*centred_box(instances, number, 1.0)[:2], height, width)


def _inside_image(instances: Array, number: int, context: float) -> Box:
    top, left, height, width = centred_box(instances, number, context)
    bottom, right = min(top + height, instances.shape[0]), min(left + width, instances.shape[1])
    top, left = max(top, 0), max(left, 0)
    return top, left, bottom - top, right - left


def _last_row_missing(instances: Array, number: int, context: float) -> Box:
    rows, columns = np.nonzero(instances == number)
    tall, wide = int(np.ptp(rows)), int(np.ptp(columns))
    height, width = round(context * tall), round(context * wide)
    return int(rows.min()) - (height - tall) // 2, int(columns.min()) - (width - wide) // 2, height, width


def _numbers(mask: Array, instances: Array, number: int, box: Box) -> Array:
    labels = labels_alone(mask, instances, number, box)
    return np.where((labels != 0) & (labels != 255), number, labels)


def _others_too(mask: Array, instances: Array, number: int, box: Box) -> Array:
    return labels_alone(mask, np.full_like(mask, number), number, box)


def _black_beyond(mask: Array, instances: Array, number: int, box: Box) -> Array:
    beyond = labels_alone(np.zeros_like(mask), instances, number, box) == 255
    return np.where(beyond, 0, labels_alone(mask, instances, number, box))


def _all_others_zero(mask: Array, instances: Array, number: int, box: Box) -> Array:
    return labels_alone(np.where(instances == number, mask, 0), instances, number, box)


def _first_only(labels: Array) -> Array:
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    most = max(len(group) for group in groups)
    return np.concatenate([[*group, *[group[0]] * (most - len(group))] for group in groups])


def _whole_groups(labels: Array) -> Array:
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    most = max(len(group) for group in groups)
    return np.concatenate([np.tile(group, -(-most // len(group))) for group in groups])


def _discarding(labels: Array) -> Array:
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    least = min(len(group) for group in groups)
    return np.concatenate([group[:least] for group in groups])


def _neighbours(labels: Array) -> Array:
    balanced = balance(labels)
    return np.concatenate([np.sort(part) for part in np.split(balanced, len(np.unique(labels)))])


def _plateau(scores: Array, start: float, patience: int, *, rises: str = "best", reset: bool = True) -> Array:
    """Return the rates with another comparison or without the new start of the counting."""
    rates, best, waited = [start], -np.inf, 0
    for score in scores[:-1]:
        waited = 0 if (score >= best if rises == "equal" else score > best) else waited + 1
        best = score if rises == "previous" else max(best, score)
        dropped = waited >= patience
        rates.append(rates[-1] / 10 if dropped else rates[-1])
        waited = 0 if dropped and reset else waited
    return np.array(rates)


EXERCISES = (
    Exercise(
        "16_box",
        "A box with a single object in the middle",
        "The first training stage: find the box around an object, and label this object alone.",
        (centred_box, labels_alone),
        _box_cases,
        (
            Mistake(
                "Yours adds all rows and columns at the bottom and the right; half of them are above and to the left.",
                {"centred_box": _one_sided},
            ),
            Mistake(
                "Yours ends at the border of the image; the object would then not be in the middle of the box.",
                {"centred_box": _inside_image},
            ),
            Mistake(
                "Yours counts one row and one column too few; rows 2 to 5 are 5 − 2 + 1 = 4 rows.",
                {"centred_box": _last_row_missing},
            ),
            Mistake("Yours labels other objects too; here they are background.", {"labels_alone": _others_too}),
            Mistake(
                "Yours calls pixels beyond the image background; nobody knows what is there, so they are 255.",
                {"labels_alone": _black_beyond},
            ),
            Mistake(
                "Yours calls ignored pixels of the mask background; they keep their 255.",
                {"labels_alone": _all_others_zero},
            ),
            Mistake("Yours writes the number of the object; a label is its class.", {"labels_alone": _numbers}),
        ),
        (
            "np.nonzero(instances == number) returns the rows and the columns of the object's pixels.",
            "Start from np.full((height, width), 255). Pixel (i, j) of the box is (top + i, left + j) in the image.",
        ),
    ),
    Exercise(
        "16_balance",
        "Repeating the examples of rare classes",
        "The second training stage: repeat examples until all classes are equally frequent.",
        (balance,),
        _balance_cases,
        (
            Mistake(
                "Yours repeats the first example of a class only; repeat all of them in turn.", {"balance": _first_only}
            ),
            Mistake(
                "Yours repeats whole classes; stop as soon as a class has as many as the most frequent one.",
                {"balance": _whole_groups},
            ),
            Mistake(
                "Yours leaves out examples of frequent classes; repeat those of rare ones instead.",
                {"balance": _discarding},
            ),
            Mistake(
                "Yours puts the copies of an example next to each other; a class starts again from its first example.",
                {"balance": _neighbours},
            ),
        ),
        (
            "np.flatnonzero(labels == label) returns the indices of a class in increasing order.",
            "The i-th index of a class with n examples is group[i % n]; i goes up to the size of the largest class.",
        ),
    ),
    Exercise(
        "16_schedule",
        "Learning rate schedules",
        "Compute the learning rates of a schedule that is known in advance, and of one that depends on the validation "
        "score.",
        (poly_rates, plateau_rates),
        _schedule_cases,
        (
            Mistake(
                "Yours counts the updates from 1; the first update has t = 0 and the full rate.",
                {
                    "poly_rates": lambda updates, start, power: (
                        start * (1 - np.arange(1, updates + 1) / updates) ** power
                    )
                },
            ),
            Mistake(
                "The rate of your last update is 0; divide by the number of updates, not by one less.",
                {"poly_rates": lambda updates, start, power: start * (1 - np.arange(updates) / (updates - 1)) ** power},
            ),
            Mistake(
                "Yours raises t/updates to the power; raise 1 − t/updates.",
                {"poly_rates": lambda updates, start, power: start * (1 - (np.arange(updates) / updates) ** power)},
            ),
            Mistake(
                "Yours compares a score with the one before it; compare it with the best so far.",
                {"plateau_rates": lambda scores, start, patience: _plateau(scores, start, patience, rises="previous")},
            ),
            Mistake(
                "Yours takes an equal score for a better one; the score must exceed the best.",
                {"plateau_rates": lambda scores, start, patience: _plateau(scores, start, patience, rises="equal")},
            ),
            Mistake(
                "Yours keeps counting after the rate has fallen; start counting anew.",
                {"plateau_rates": lambda scores, start, patience: _plateau(scores, start, patience, reset=False)},
            ),
        ),
        (
            "np.arange(updates) / updates is t/updates for all updates.",
            "Keep three values: the rate, the best score, and how many epochs have passed without a better one. The "
            "score of the last epoch changes nothing.",
        ),
    ),
)
