"""Exercises of lesson 1: the confusion matrix, IoU and Dice."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake

TRUTH = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], np.uint8)
PREDICTION = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]], np.uint8)


def confusion_matrix(truth: Array, prediction: Array, classes: int, ignore: int) -> Array:
    """Return the table (classes, classes) of counts: row = true class, column = predicted class.

    ``truth`` and ``prediction`` are masks of the same shape (h, w) or (n, h, w). A pixel whose label in ``truth`` is
    ``ignore`` is not counted; all other labels are classes, 0 to classes − 1.

        table[i, j] = number of counted pixels with truth i and prediction j
    """
    table = np.zeros((classes, classes), np.int64)
    for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if t != ignore:
            table[t, p] += 1
    return table


def iou_of_classes(table: Array) -> Array:
    """Return the IoU of every class (K,) from a confusion matrix (K, K): intersection / union.

    The IoU of a class that occurs neither in the truth nor in the prediction is NaN, because 0/0 has no value.
    """
    intersection = np.diag(table)
    union = table.sum(axis=0) + table.sum(axis=1) - intersection
    return np.array([i / u if u else np.nan for i, u in zip(intersection, union, strict=True)])


def dice_of_classes(table: Array) -> Array:
    """Return Dice for every class (K,) from a confusion matrix (K, K): 2 · intersection / sum of the two sizes.

    Dice of a class that occurs neither in the truth nor in the prediction is 1, because two empty masks are equal.
    """
    intersection = np.diag(table)
    sizes = table.sum(axis=0) + table.sum(axis=1)
    return np.array([2 * i / s if s else 1.0 for i, s in zip(intersection, sizes, strict=True)])


def _masks(rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> tuple[Array, Array]:
    """Return a truth and a prediction that agrees with it at half of the pixels."""
    truth, other = rng.integers(0, classes, (2, *shape))
    return truth, np.where(rng.random(shape) < 0.5, truth, other)


def _confusion_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("confusion_matrix", (TRUTH, PREDICTION, 2, 255), "the case by hand")
    truth, prediction = _masks(rng, (2, 5, 7), 3)
    yield Case("confusion_matrix", (truth, prediction, 3, 255), "two masks with three classes")
    yield Case("confusion_matrix", (np.where(truth == 2, 255, truth), prediction, 3, 255), "ignored pixels")
    yield Case("confusion_matrix", (truth, prediction, 3, 0), "class 0 as the ignored label")
    yield Case("confusion_matrix", (truth, prediction, 5, 255), "classes that do not occur")
    truth, prediction = (mask.astype(np.uint8) for mask in _masks(rng, (9, 6), 21))
    yield Case("confusion_matrix", (truth, prediction, 21, 255), "21 classes in bytes")
    yield Case("confusion_matrix", (np.full((3, 4), 255), np.ones((3, 4), int), 2, 255), "only ignored pixels")


def _table(rng: np.random.Generator, classes: int, absent: tuple[int, ...] = ()) -> Array:
    table = rng.integers(1, 50, (classes, classes))
    table[list(absent)] = 0
    table[:, list(absent)] = 0
    return table


def _score_cases(rng: np.random.Generator) -> Iterator[Case]:
    for name in ("iou_of_classes", "dice_of_classes"):
        yield Case(name, (np.array([[14, 2], [2, 2]]),), "the case by hand")
        yield Case(name, (np.array([[70, 0, 0], [5, 5, 0], [0, 0, 20]]),), "a street scene")
        yield Case(name, (_table(rng, 4),), "four classes")
        yield Case(name, (_table(rng, 3, absent=(1,)),), "a class that does not occur")
        never = _table(rng, 3)
        never[:, 2] = 0
        yield Case(name, (never,), "a class that is never predicted")


def _assigned_once(truth: Array, prediction: Array, classes: int, ignore: int) -> Array:
    return np.minimum(confusion_matrix(truth, prediction, classes, ignore), 1)


def _ignored_as_zero(truth: Array, prediction: Array, classes: int, ignore: int) -> Array:
    return confusion_matrix(np.where(truth == ignore, 0, truth), prediction, classes, -1)


def _ignored_in_both(truth: Array, prediction: Array, classes: int, ignore: int) -> Array:
    return confusion_matrix(np.where(prediction == ignore, ignore, truth), prediction, classes, ignore)


def _only_classes_that_occur(truth: Array, prediction: Array, classes: int, ignore: int) -> Array:
    counted = truth != ignore
    used = max(truth[counted].max(initial=0), prediction[counted].max(initial=0)) + 1
    return confusion_matrix(truth, prediction, int(used), ignore)


def _overflowing(truth: Array, prediction: Array, classes: int, ignore: int) -> Array:
    counted = truth != ignore
    index = truth[counted] * classes + prediction[counted]
    return np.bincount(index, minlength=classes * classes).reshape(classes, classes)


def _ratio(part: Array, whole: Array, empty: float) -> Array:
    return np.array([a / b if b else empty for a, b in zip(part, whole, strict=True)])


def _sizes(table: Array) -> Array:
    sizes: Array = table.sum(axis=0) + table.sum(axis=1)
    return sizes


EXERCISES = (
    Exercise(
        "01_confusion",
        "The confusion matrix of two masks",
        "Count how often each true class was predicted as each class. Ignored pixels are those that the person who "
        "drew the truth was not sure about: they are not counted, whatever the prediction there.",
        (confusion_matrix,),
        _confusion_cases,
        (
            Mistake(
                "Yours has rows and columns exchanged; a row is a true class, a column a predicted one.",
                {"confusion_matrix": lambda t, p, classes, ignore: confusion_matrix(t, p, classes, ignore).T},
            ),
            Mistake(
                "Yours counts a pair of classes at most once: table[truth, prediction] += 1 adds only one for an index "
                "that appears several times.",
                {"confusion_matrix": _assigned_once},
            ),
            Mistake(
                "Yours counts ignored pixels as class 0; they must not be counted at all.",
                {"confusion_matrix": _ignored_as_zero},
            ),
            Mistake(
                "Yours also leaves out pixels whose *prediction* is the ignored label; only the truth decides.",
                {"confusion_matrix": _ignored_in_both},
            ),
            Mistake(
                "Your table is only as large as the labels that occur; it has a row and a column for every class.",
                {"confusion_matrix": _only_classes_that_occur},
            ),
            Mistake(
                "Your index truth · classes + prediction overflows in bytes, after 255 it starts again at 0; convert "
                "the masks to int64 first.",
                {"confusion_matrix": _overflowing},
            ),
        ),
        (
            "Start with np.zeros((classes, classes), int) and add 1 for every counted pixel, in a loop.",
            "Without a loop: select the counted pixels, number each pair as truth · classes + prediction, and use "
            "np.bincount with minlength.",
        ),
    ),
    Exercise(
        "01_iou_and_dice",
        "IoU and Dice of every class",
        "Compute both measures from the confusion matrix. The intersection is on the diagonal, and the sums of rows "
        "and columns are the sizes of a class in the truth and in the prediction.",
        (iou_of_classes, dice_of_classes),
        _score_cases,
        (
            Mistake(
                "Yours counts the intersection twice in the union; subtract it once.",
                {"iou_of_classes": lambda table: _ratio(np.diag(table), _sizes(table), np.nan)},
            ),
            Mistake(
                "Yours divides by the row only, the pixels of the class in the truth; wrong predictions of the class "
                "must count as well.",
                {
                    "iou_of_classes": lambda table: _ratio(np.diag(table), table.sum(axis=1), np.nan),
                    "dice_of_classes": lambda table: _ratio(np.diag(table), table.sum(axis=1), 1.0),
                },
            ),
            Mistake(
                "Yours divides by the column only, the pixels predicted as the class; missed pixels must count as "
                "well.",
                {
                    "iou_of_classes": lambda table: _ratio(np.diag(table), table.sum(axis=0), np.nan),
                    "dice_of_classes": lambda table: _ratio(np.diag(table), table.sum(axis=0), 1.0),
                },
            ),
            Mistake(
                "A class that does not occur has IoU 0 in yours; 0/0 is NaN, so that means can leave it out.",
                {"iou_of_classes": lambda table: np.nan_to_num(iou_of_classes(table), nan=0.0)},
            ),
            Mistake(
                "A class that does not occur has IoU 1 in yours; the rule is NaN (1 is the rule for Dice).",
                {"iou_of_classes": lambda table: np.nan_to_num(iou_of_classes(table), nan=1.0)},
            ),
            Mistake(
                "A class that does not occur has Dice NaN in yours; the rule is 1, because two empty masks are equal.",
                {"dice_of_classes": lambda table: _ratio(2 * np.diag(table), _sizes(table), np.nan)},
            ),
            Mistake(
                "A class that does not occur has Dice 0 in yours; the rule is 1, because two empty masks are equal.",
                {"dice_of_classes": lambda table: _ratio(2 * np.diag(table), _sizes(table), 0.0)},
            ),
            Mistake(
                "Yours lacks the factor 2: equal masks must give 1.",
                {"dice_of_classes": lambda table: np.where(_sizes(table) > 0, dice_of_classes(table) / 2, 1.0)},
            ),
        ),
        (
            "np.diag(table) is the intersection of every class; table.sum(axis=1) is its size in the truth.",
            "The union of class k is row sum + column sum − table[k, k].",
            "Find the classes with an empty union first, for example with np.where or a loop.",
        ),
    ),
)
