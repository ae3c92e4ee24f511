"""Exercises of lesson 20: dropout, entropy and mutual information, calibration."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, GradientCheck, Mistake


def dropout(x: Array, kept: Array, rate: float) -> Array:
    """Return maps x (n, h, w, c) after dropout; kept, of the same shape, is 1 where a value stays and 0 elsewhere.

    The fraction ``rate`` of the values is dropped on average, so a value that stays is divided by 1 − rate, the
    probability of staying. The expected value is then that of x:

        y = kept · x / (1 − rate)
    """
    return kept * x / (1 - rate)


def dropout_backward(dy: Array, x: Array, kept: Array, rate: float) -> Array:
    """Return dx (n, h, w, c), given the upstream gradient dy; the other arguments are those of ``dropout``."""
    return kept * dy / (1 - rate)


def entropy(p: Array) -> Array:
    """Return the entropy −Σ p ln p over the last axis, the classes, in nats: (…, c) → (…).

    p ln p is 0 for p = 0, its limit.
    """
    total: Array = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=-1)
    return total


def mutual_information(p: Array) -> Array:
    """Return the mutual information (h, w) of N passes, from their probabilities p (N, h, w, c).

    It is the entropy of the mean of the passes less the mean of their entropies:

        H(mean of p) − mean of H(p)
    """
    difference: Array = entropy(p.mean(axis=0)) - entropy(p).mean(axis=0)
    return difference


def expected_calibration_error(confidence: Array, right: Array, bins: int) -> float:
    """Return the expected calibration error of n pixels.

    confidence (n,) holds the probability of the predicted class, and right (n,) 1 where that class is the true one, 0
    elsewhere. Bin k has the confidences from k / bins up to, but without, (k + 1) / bins; 1.0 belongs to the last bin.
    A bin without pixels adds nothing:

        Σ over the bins of (pixels in the bin / n) · |mean of right − mean of confidence|
    """
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for k in range(bins):
        inside = places == k
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(error)


def _dropout_cases(rng: np.random.Generator) -> Iterator[Case]:
    x, kept = np.array([2.0, 4, 6, 8]).reshape(1, 1, 4, 1), np.array([0.0, 1, 1, 0]).reshape(1, 1, 4, 1)
    dy = np.array([1.0, 2, 3, 4]).reshape(1, 1, 4, 1)
    yield Case("dropout", (x, kept, 0.5), "the case by hand, 2 4 6 8 at rate ½")
    yield Case("dropout_backward", (dy, x, kept, 0.5), "the case by hand, 2 4 6 8 at rate ½")
    for rate, words in ((0.2, "rate 0.2"), (0.75, "rate ¾"), (0.0, "rate 0")):
        shape = 2, 3, 4, 2
        kept = (rng.random(shape) >= rate).astype(float)
        yield Case("dropout", (rng.standard_normal(shape), kept, rate), words)
        yield Case("dropout_backward", (rng.standard_normal(shape), rng.standard_normal(shape), kept, rate), words)


def _dropout_arguments(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.standard_normal((2, 3, 4, 2)), (rng.random((2, 3, 4, 2)) >= 0.3).astype(float), 0.3


def _information_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.array([[[0.5, 0.5], [0.9, 0.1]], [[0.5, 0.5], [0.1, 0.9]]]).reshape(2, 1, 2, 2)
    yield Case("entropy", (hand,), "the case by hand, probabilities 0.5, 0.5 and 0.9, 0.1")
    yield Case("mutual_information", (hand,), "the case by hand, two passes that agree and two that do not")
    several = rng.dirichlet([1.0, 2.0, 0.5], (5, 3, 4))
    yield Case("entropy", (several,), "three classes")
    yield Case("mutual_information", (several,), "five passes, three classes")
    certain = np.eye(3)[rng.integers(0, 3, (4, 2, 3))]
    yield Case("entropy", (certain,), "probabilities of 0 and 1")
    yield Case("mutual_information", (certain,), "passes that are certain and differ")


def _calibration_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.array([0.9, 0.9, 0.6, 0.6]), np.array([1.0, 0, 1, 1])
    yield Case("expected_calibration_error", (*hand, 2), "the case by hand, two bins")
    for n, bins, words in ((40, 10, "ten bins"), (300, 5, "five bins"), (7, 20, "more bins than pixels")):
        confidence = rng.uniform(0.3, 1, n)
        right = (rng.random(n) < confidence**2).astype(float)
        yield Case("expected_calibration_error", (confidence, right, bins), words)
    confidence = np.concatenate([np.ones(5), rng.uniform(0.5, 0.9, 6)])
    yield Case("expected_calibration_error", (confidence, np.arange(11) % 2.0, 4), "a confidence of 1")


def _bins_of(confidence: Array, right: Array, bins: int) -> Iterator[tuple[float, float, float]]:
    """Yield share, accuracy and confidence of the bins that have pixels."""
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    for k in range(bins):
        inside = places == k
        if inside.any():
            yield inside.mean(), right[inside].mean(), confidence[inside].mean()


def _without_weights(confidence: Array, right: Array, bins: int) -> float:
    return float(np.mean([abs(a - c) for _, a, c in _bins_of(confidence, right, bins)]))


def _with_signs(confidence: Array, right: Array, bins: int) -> float:
    return float(sum(share * (a - c) for share, a, c in _bins_of(confidence, right, bins)))


def _with_middles(confidence: Array, right: Array, bins: int) -> float:
    middle = (np.minimum((confidence * bins).astype(int), bins - 1) + 0.5) / bins
    return float(sum(share * abs(a - c) for share, a, c in _bins_of(middle, right, bins)))


def _without_one(confidence: Array, right: Array, bins: int) -> float:
    return (
        expected_calibration_error(confidence, right, bins)
        if confidence.max() < 1
        else float(
            sum(
                (confidence < 1).mean() * share * abs(a - c)
                for share, a, c in _bins_of(confidence[confidence < 1], right[confidence < 1], bins)
            )
        )
    )


EXERCISES = (
    Exercise(
        "20_dropout",
        "Dropout, forwards and backwards",
        "Drop the values that a mask names, and keep the expected value. Then pass the gradient back.",
        (dropout, dropout_backward),
        _dropout_cases,
        (
            Mistake(
                "Yours does not divide by 1 − rate, so the values are smaller on average than without dropout.",
                {"dropout": lambda x, kept, rate: kept * x},
            ),
            Mistake(
                "Yours divides by the rate, the probability of being dropped; divide by that of staying, 1 − rate.",
                {"dropout": lambda x, kept, rate: kept * x / max(rate, 1e-3)},
            ),
            Mistake(
                "Yours divides by the share that this mask keeps; it is 1 − rate only on average.",
                {"dropout": lambda x, kept, rate: kept * x / max(kept.mean(), 1e-3)},
            ),
            Mistake(
                "Yours divides the dropped values as well, and keeps them.",
                {"dropout": lambda x, kept, rate: x / (1 - rate)},
            ),
            Mistake(
                "Your gradient passes the dropped values; they did not influence the result.",
                {"dropout_backward": lambda dy, x, kept, rate: dy / (1 - rate)},
            ),
            Mistake(
                "Your gradient lacks the factor 1 / (1 − rate) of the forward pass.",
                {"dropout_backward": lambda dy, x, kept, rate: kept * dy},
            ),
        ),
        (
            "A value of 2 that stays with probability ½ has the expected value 2 only if it becomes 4.",
            "y is x times a constant array. What is the derivative of a product with a constant?",
        ),
        gradients=(GradientCheck("dropout", "dropout_backward", _dropout_arguments),),
    ),
    Exercise(
        "20_information",
        "Entropy and mutual information of several passes",
        "Say how unsure the mean of N passes is, and which part of it is disagreement of the passes.",
        (entropy, mutual_information),
        _information_cases,
        (
            Mistake(
                "Your logarithm is that to the base 2; nats need the natural one.",
                {"entropy": lambda p: entropy(p) / np.log(2)},
            ),
            Mistake(
                "Yours is not a number for a probability of 0; 0 · ln 0 counts as 0.",
                {"entropy": lambda p: -(p * np.log(p)).sum(axis=-1)},
            ),
            Mistake("Yours has the wrong sign; an entropy is never negative.", {"entropy": lambda p: -entropy(p)}),
            Mistake(
                "Yours is the entropy of the mean; the mean of the entropies must be subtracted.",
                {"mutual_information": lambda p: entropy(p.mean(axis=0))},
            ),
            Mistake(
                "Yours is the mean of the entropies, the part on which the passes agree.",
                {"mutual_information": lambda p: entropy(p).mean(axis=0)},
            ),
            Mistake(
                "Yours is the variance of the passes, summed over the classes; it is small at the same places, but in "
                "other units.",
                {"mutual_information": lambda p: p.var(axis=0).sum(axis=-1)},
            ),
        ),
        (
            "np.where(p > 0, p, 1) has the logarithm 0 where p is 0.",
            "p.mean(axis=0) averages over the passes; entropy sums over the classes, the last axis.",
        ),
    ),
    Exercise(
        "20_calibration",
        "The expected calibration error",
        "Compare in each bin how sure a network is with how often it is right.",
        (expected_calibration_error,),
        _calibration_cases,
        (
            Mistake(
                "Yours gives all bins equal weight; a bin counts by its share of the pixels.",
                {"expected_calibration_error": _without_weights},
            ),
            Mistake(
                "Yours lets too high and too low confidences cancel; take the absolute difference in each bin.",
                {"expected_calibration_error": _with_signs},
            ),
            Mistake(
                "Yours takes the middle of a bin for its confidence; take the mean of its pixels.",
                {"expected_calibration_error": _with_middles},
            ),
            Mistake(
                "Yours has no bin for a confidence of 1.0; it belongs to the last one.",
                {"expected_calibration_error": _without_one},
            ),
        ),
        (
            "np.minimum((confidence * bins).astype(int), bins - 1) is the number of each pixel's bin.",
            "The share of the pixels in a bin is the mean of a Boolean array.",
        ),
    ),
)
