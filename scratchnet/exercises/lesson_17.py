"""Exercises of lesson 17: scores of overlapping boxes, ensembles."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake

Boxes = list[tuple[int, int, int, int]]


def paste_boxes(scores: list[Array], boxes: list[tuple[int, int, int, int]], h: int, w: int) -> Array:
    """Return the largest score at every pixel of an image: (h, w, c).

    The scores of each box (top, left, height, width) are a map (height, width, c) at its position. Outside its box a
    map is 0, so a negative score counts only where *all* boxes cover the pixel. Boxes may extend beyond the image;
    what is outside is cut off. At least one box is given.
    """
    maps = []
    for part, (top, left, height, width) in zip(scores, boxes, strict=True):
        first_row, first_column = max(top, 0), max(left, 0)
        end_row, end_column = min(top + height, h), min(left + width, w)
        image = np.zeros((h, w, part.shape[2]))
        image[first_row:end_row, first_column:end_column] = part[
            first_row - top : end_row - top, first_column - left : end_column - left
        ]
        maps.append(image)
    largest: Array = np.max(maps, axis=0)
    return largest


def ensemble_mean(scores: Array) -> Array:
    """Return the mean of the networks' probabilities, (n, h, w, c), from their scores (networks, n, h, w, c).

    The probabilities of a pixel are the softmax of its scores over the classes, the last axis. Scores may be large:
    subtract the largest of a pixel before exp.
    """
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mean: Array = (powers / powers.sum(axis=-1, keepdims=True)).mean(axis=0)
    return mean


def ensemble_product(scores: Array) -> Array:
    """Return the product of the networks' probabilities (n, h, w, c), divided by its sum over the classes.

    scores are (networks, n, h, w, c). The probabilities are those of ``ensemble_mean``. A product of small
    probabilities may become 0 for all classes; the sum of the logarithms does not:

        log softmax(s) = s − log Σ exp(s),    product = softmax(Σ over the networks of log softmax(s))
    """
    total = scores.sum(axis=0)  # the logarithms differ from the scores by a constant per pixel
    powers = np.exp(total - total.max(axis=-1, keepdims=True))
    product: Array = powers / powers.sum(axis=-1, keepdims=True)
    return product


def _row(values: list[float]) -> Array:
    return np.array(values).reshape(1, -1, 1)


def _paste_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = [_row([2.0, 2, 6, 6]), _row([4.0, 4, 4, -1, -1, -1])], [(0, 0, 1, 4), (0, 2, 1, 6)], 1, 8
    yield Case("paste_boxes", hand, "the case by hand, one row of 8 pixels")
    several: Boxes = [(0, 1, 4, 5), (2, 3, 5, 4), (1, 0, 3, 8), (5, 6, 1, 1)]
    beyond: Boxes = [(-2, 1, 5, 4), (3, -1, 6, 5), (2, 5, 3, 6)]
    for boxes, (h, w), words in (
        (several, (7, 9), "four boxes"),
        (beyond, (6, 8), "boxes that extend beyond the image"),
        ([(0, 0, 5, 4), (0, 0, 5, 4)], (5, 4), "two boxes that cover the whole image"),
        ([(1, 2, 3, 2)], (5, 6), "a single box"),
    ):
        scores = [rng.standard_normal((height, width, 3)) for _, _, height, width in boxes]
        yield Case("paste_boxes", (scores, boxes, h, w), words)


def _ensemble_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.log(np.array([[0.6, 0.4], [0.2, 0.8]])).reshape(2, 1, 1, 1, 2)
    for name in ("ensemble_mean", "ensemble_product"):
        yield Case(name, (hand,), "the case by hand, probabilities 0.6, 0.4 and 0.2, 0.8")
        yield Case(name, (rng.standard_normal((2, 3, 2, 4, 3)),), "two networks, three images")
        yield Case(name, (3 * rng.standard_normal((5, 1, 3, 2, 4)),), "five networks")
        large = 1000 * rng.standard_normal((3, 1, 2, 3, 2))
        large[:, 0, 0, 0] = [[1000, 0], [0, 1000], [300, 0]]  # the networks disagree
        yield Case(name, (large,), "scores of 1000")


def _apart(scores: list[Array], boxes: Boxes, h: int, w: int) -> list[Array]:
    return [paste_boxes([part], [box], h, w) for part, box in zip(scores, boxes, strict=True)]


def _from_zero(scores: list[Array], boxes: Boxes, h: int, w: int) -> Array:
    return np.maximum(paste_boxes(scores, boxes, h, w), 0)


def _unknown_outside(scores: list[Array], boxes: Boxes, h: int, w: int) -> Array:
    inside = _apart([np.ones_like(part) for part in scores], boxes, h, w)
    maps = [np.where(mask == 1, one, -np.inf) for mask, one in zip(inside, _apart(scores, boxes, h, w), strict=True)]
    largest = np.max(maps, axis=0)
    return np.where(np.isinf(largest), 0, largest)


def _summed(scores: list[Array], boxes: Boxes, h: int, w: int) -> Array:
    total: Array = np.sum(_apart(scores, boxes, h, w), axis=0)
    return total


def _last_wins(scores: list[Array], boxes: Boxes, h: int, w: int) -> Array:
    inside = _apart([np.ones_like(part) for part in scores], boxes, h, w)
    result = np.zeros_like(inside[0])
    for mask, one in zip(inside, _apart(scores, boxes, h, w), strict=True):
        result = np.where(mask == 1, one, result)
    return result


def _moved_inside(scores: list[Array], boxes: Boxes, h: int, w: int) -> Array:
    moved = [(max(top, 0), max(left, 0), height, width) for top, left, height, width in boxes]
    return paste_boxes(scores, moved, h, w)


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    result: Array = powers / powers.sum(axis=-1, keepdims=True)
    return result


def _overflowing(scores: Array) -> Array:
    powers = np.exp(scores)
    result: Array = (powers / powers.sum(axis=-1, keepdims=True)).mean(axis=0)
    return result


def _most_votes(scores: Array) -> Array:
    votes: Array = np.eye(scores.shape[-1])[scores.argmax(axis=-1)].mean(axis=0)
    return votes


def _underflowing(scores: Array) -> Array:
    product = _softmax(scores).prod(axis=0)
    result: Array = product / product.sum(axis=-1, keepdims=True)
    return result


EXERCISES = (
    Exercise(
        "17_paste",
        "The scores of overlapping boxes",
        "Every box has been segmented alone, and its scores resized to its own size. Put them into the image; at every "
        "pixel the largest score counts.",
        (paste_boxes,),
        _paste_cases,
        (
            Mistake(
                "Yours never returns a negative score; where all boxes cover a pixel, the largest may be negative.",
                {"paste_boxes": _from_zero},
            ),
            Mistake(
                "Yours ignores a map outside its box; it is 0 there, and 0 is larger than a negative score.",
                {"paste_boxes": _unknown_outside},
            ),
            Mistake("Yours adds the scores; the largest counts.", {"paste_boxes": _summed}),
            Mistake("A later box replaces an earlier one in yours; the largest counts.", {"paste_boxes": _last_wins}),
            Mistake(
                "Yours moves a box into the image; the part of its scores outside is cut off.",
                {"paste_boxes": _moved_inside},
            ),
        ),
        (
            "Make one map of zeros (h, w, c) per box, fill in its scores, and take np.max(maps, axis=0).",
            "Row r of a box is row top + r of the image. A box with top = −2 loses its first two rows.",
        ),
    ),
    Exercise(
        "17_ensemble",
        "An ensemble of networks",
        "Combine the probabilities of several networks by their mean and by their product.",
        (ensemble_mean, ensemble_product),
        _ensemble_cases,
        (
            Mistake(
                "Yours is the softmax of the mean score; average the probabilities.",
                {"ensemble_mean": lambda scores: _softmax(scores.mean(axis=0))},
            ),
            Mistake(
                "exp overflows in yours for scores of 1000; subtract the largest score of the pixel first.",
                {"ensemble_mean": _overflowing},
            ),
            Mistake(
                "Yours counts votes; a confident network must outweigh an unsure one.", {"ensemble_mean": _most_votes}
            ),
            Mistake(
                "Yours does not divide the product by its sum over the classes, so it is no probability.",
                {"ensemble_product": lambda scores: _softmax(scores).prod(axis=0)},
            ),
            Mistake(
                "Your product becomes 0 for all classes if the networks disagree strongly; add logarithms instead.",
                {"ensemble_product": _underflowing},
            ),
            Mistake(
                "Yours is the softmax of the mean logarithm, a geometric mean; the product takes their sum.",
                {"ensemble_product": lambda scores: _softmax(scores.mean(axis=0))},
            ),
        ),
        (
            "keepdims=True keeps the axis of the classes, so that the division fits.",
            "log Σ exp(s) is the same for all classes of a pixel. What does a constant do to softmax?",
        ),
    ),
)
