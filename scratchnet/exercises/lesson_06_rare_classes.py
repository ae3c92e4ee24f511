"""Exercises of lesson 6 about rare classes: the Dice loss and class weights."""

from collections.abc import Callable, Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake


def dice_loss(p: Array, t: Array) -> tuple[float, Array]:
    """Return 1 − D for probabilities p and truths t (0 or 1), both (n, h, w), and its gradient with respect to p.

    All images are measured together. If p and t are 0 everywhere, D is 1, and the gradient is defined as 0.

        D = 2 · Σ p·t / (Σ p + Σ t)
    """
    overlap, total = 2 * (p * t).sum(), p.sum() + t.sum()
    if total == 0:
        return 0.0, np.zeros(p.shape)
    return float(1 - overlap / total), (overlap - 2 * t * total) / total**2


def class_weights(masks: Array, classes: int) -> Array:
    """Return the weights (classes,) of median frequency balancing for masks (n, h, w).

    The frequency of a class is its number of pixels, divided by the number of pixels of all images in which it occurs.
    Its weight is the median of the frequencies divided by its own. A class that never occurs gets the weight 0, and
    the median leaves it out.
    """
    frequency = np.zeros(classes)
    for c in range(classes):
        images = [mask for mask in masks if (mask == c).any()]
        if images:
            frequency[c] = np.mean(np.array(images) == c)
    occurs = frequency > 0
    weights = np.zeros(classes)
    weights[occurs] = np.median(frequency[occurs]) / frequency[occurs]
    return weights


def _dice_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("dice_loss", (np.array([[[0.5, 1.0]]]), np.array([[[0, 1]]])), "the case by hand")
    p = rng.random((3, 4, 5))
    t = (rng.random((3, 4, 5)) < 0.3).astype(int)
    t[1] = 0
    yield Case("dice_loss", (p[:1], t[:1]), "one image")
    yield Case("dice_loss", (p, t), "three images")
    yield Case("dice_loss", (p, 0 * t), "an empty truth")
    yield Case("dice_loss", (0 * p, t), "an empty prediction")
    yield Case("dice_loss", (0 * p, 0 * t), "two empty masks")


def _weight_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("class_weights", (np.array([[[0, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 2, 2]]]), 3), "the case by hand")
    masks = rng.choice(4, (5, 4, 6), p=(0.6, 0.2, 0.15, 0.05))
    masks[1:3][masks[1:3] == 2] = 0
    masks[2:][masks[2:] == 3] = 1
    yield Case("class_weights", (masks, 4), "classes that not every image has")
    yield Case("class_weights", (masks, 6), "classes that never occur")


def _images_apart(p: Array, t: Array) -> tuple[float, Array]:
    parts = [dice_loss(p[i : i + 1], t[i : i + 1]) for i in range(len(p))]
    return float(np.mean([loss for loss, _ in parts])), np.concatenate([g for _, g in parts]) / len(p)


def _constant_total(p: Array, t: Array) -> tuple[float, Array]:
    total = p.sum() + t.sum()
    return dice_loss(p, t)[0], -2 * t / max(total, 1e-300)


def _nan_for_empty(p: Array, t: Array) -> tuple[float, Array]:
    loss, gradient = dice_loss(p, t)
    return (loss, gradient) if p.sum() + t.sum() else (np.nan, gradient * np.nan)


def _without_factor(p: Array, t: Array) -> tuple[float, Array]:
    loss, gradient = dice_loss(p, t)
    if p.sum() + t.sum() == 0:
        return loss, gradient
    total = p.sum() + t.sum()
    return float(1 - (p * t).sum() / total), ((p * t).sum() - t * total) / total**2


def _frequencies(masks: Array, classes: int, everywhere: bool) -> Array:
    shares = np.array([(masks == c).mean(axis=(1, 2)) for c in range(classes)])
    frequency: Array = np.array([row[(row > 0) | everywhere].mean() if row.any() else 0 for row in shares])
    return frequency


def _weights(average: Callable[[Array], float], everywhere: bool = False, absent: bool = False) -> Callable[..., Array]:
    """Return class weights with another average, over all images, or with absent classes in the median."""

    def wrong(masks: Array, classes: int) -> Array:
        frequency = _frequencies(masks, classes, everywhere)
        seen = frequency > 0
        weights = np.zeros(classes)
        weights[seen] = average(frequency if absent else frequency[seen]) / frequency[seen]
        return weights

    return wrong


def _median(frequency: Array) -> float:
    return float(np.median(frequency))


def _mean(frequency: Array) -> float:
    return float(frequency.mean())


def _one(frequency: Array) -> float:
    return 1.0


def _inverse(weights: Array) -> Array:
    return np.array([1 / w if w else 0 for w in weights])


def _infinite(masks: Array, classes: int) -> Array:
    weights = class_weights(masks, classes)
    return np.where(weights == 0, np.inf, weights)


EXERCISES = (
    Exercise(
        "06_dice_loss",
        "The Dice loss and its gradient",
        "With probabilities instead of a predicted mask, Dice of lesson 1 becomes a loss in which a rare class counts "
        "as much as a common one. Write 1 − D and its gradient; the derivative of a quotient u/v is (u'·v − u·v')/v².",
        (dice_loss,),
        _dice_cases,
        (
            Mistake(
                "Your gradient treats the denominator Σ p + Σ t as a constant; it depends on p, too.",
                {"dice_loss": _constant_total},
            ),
            Mistake(
                "Yours measures each image and takes the mean; the sums run over all images.",
                {"dice_loss": _images_apart},
            ),
            Mistake(
                "Your gradient is that of D; the loss is 1 − D, so its sign changes.",
                {"dice_loss": lambda p, t: (dice_loss(p, t)[0], -dice_loss(p, t)[1])},
            ),
            Mistake(
                "Yours returns D; the loss is 1 − D.",
                {"dice_loss": lambda p, t: (1 - dice_loss(p, t)[0], -dice_loss(p, t)[1])},
            ),
            Mistake("Yours lacks the factor 2 of the intersection.", {"dice_loss": _without_factor}),
            Mistake(
                "Two empty masks give 0/0 in yours; they are equal, so the loss is 0.", {"dice_loss": _nan_for_empty}
            ),
            Mistake(
                "Yours rounds the probabilities to a mask first; then there is no slope to learn from.",
                {"dice_loss": lambda p, t: dice_loss(np.rint(p), t)},
            ),
        ),
        (
            "Write u = 2 · Σ p·t and v = Σ p + Σ t. What are their derivatives with respect to one element of p?",
            "u' = 2·t and v' = 1, so the slope of 1 − u/v is (u − 2·t·v) / v².",
        ),
        {"dice_loss": ("loss", "dp")},
    ),
    Exercise(
        "06_class_weights",
        "Class weights by median frequency balancing",
        "Rare classes get larger weights in the loss. Compute the weights from all masks that a network learns "
        "from, after Eigen and Fergus (2015).",
        (class_weights,),
        _weight_cases,
        (
            Mistake(
                "Yours divides by the pixels of all images; only images in which the class occurs count.",
                {"class_weights": _weights(_median, everywhere=True)},
            ),
            Mistake("Yours uses the mean of the frequencies; it is their median.", {"class_weights": _weights(_mean)}),
            Mistake(
                "Your weights are upside down: a rare class must get a larger weight.",
                {"class_weights": lambda masks, classes: _inverse(class_weights(masks, classes))},
            ),
            Mistake(
                "Yours counts classes that never occur as frequency 0 in the median; leave them out.",
                {"class_weights": _weights(_median, absent=True)},
            ),
            Mistake(
                "A class that never occurs has an infinite weight in yours; the rule is 0.",
                {"class_weights": _infinite},
            ),
            Mistake(
                "Yours is 1 / frequency; multiply by the median of the frequencies.", {"class_weights": _weights(_one)}
            ),
        ),
        (
            "Start with one class: select the images in which it occurs, and take its share of their pixels.",
            "np.median(frequency[occurs]) / frequency[occurs], with occurs = frequency > 0.",
        ),
    ),
)
