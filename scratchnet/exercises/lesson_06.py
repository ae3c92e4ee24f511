"""Exercises of lesson 6: losses over pixels."""

from collections.abc import Callable, Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake
from scratchnet.exercises.lesson_06_rare_classes import EXERCISES as RARE_CLASSES
from scratchnet.exercises.lesson_06_softmax_loss import EXERCISES as SOFTMAX_LOSS


def sigmoid(z: Array) -> Array:
    """Return σ(z) = 1 / (1 + e⁻ᶻ) for every element of z (any shape), without overflow for logits of ±1000."""
    small = np.exp(-np.abs(z))  # between 0 and 1
    return np.where(z >= 0, 1 / (1 + small), small / (1 + small))


def cross_entropy(z: Array, t: Array) -> Array:
    """Return the loss of every pixel, for logits z and truths t (0 or 1) of the same shape.

    −log σ(z) where t is 1, and −log(1 − σ(z)) where t is 0. It must be finite and right for logits of ±1000.
    """
    loss: Array = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    return loss


def cross_entropy_slope(z: Array, t: Array) -> Array:
    """Return the slope of every pixel's cross-entropy with respect to its logit, also for logits of ±1000."""
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + small), small / (1 + small)) - t


def log_sum_exp(z: Array) -> Array:
    """Return log(Σ exp(z)) over the last axis of z (…, K): an array (…), right for logits of ±1000."""
    top = z.max(axis=-1)
    total: Array = top + np.log(np.exp(z - top[..., None]).sum(axis=-1))
    return total


def softmax(z: Array) -> Array:
    """Return the probabilities of the classes, exp(z_j) / Σ exp(z) over the last axis of z (…, K), right for ±1000."""
    exps = np.exp(z - z.max(axis=-1, keepdims=True))
    p: Array = exps / exps.sum(axis=-1, keepdims=True)
    return p


def _sigmoid_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand, random = np.array([0.0, 2, -2]), rng.uniform(-6, 6, (2, 3, 5))
    sure, huge = np.array([[40.0, -40], [40, -40]]), np.array([[1000.0, -1000], [1000, -1000]])
    yield Case("sigmoid", (hand,), "the case by hand")
    yield Case("sigmoid", (random,), "random logits")
    yield Case("sigmoid", (huge,), "logits of ±1000")
    truth = rng.integers(0, 2, random.shape)
    for name in ("cross_entropy", "cross_entropy_slope"):
        yield Case(name, (hand, np.array([1, 1, 0])), "the case by hand")
        yield Case(name, (random, truth), "random logits")
        yield Case(name, (sure, np.array([[0, 1], [1, 0]])), "logits of ±40")
        yield Case(name, (huge, np.array([[0, 1], [1, 0]])), "logits of ±1000")


def _softmax_cases(rng: np.random.Generator) -> Iterator[Case]:
    data: tuple[tuple[str, Array], ...] = (
        ("the case by hand", np.log(np.array([[1.0, 1, 2], [3, 1, 6]]))),
        ("a single pixel", rng.uniform(-3, 3, 4)),
        ("two images", rng.uniform(-3, 3, (2, 3, 5, 4))),
        ("logits of 1000", np.array([[1000.0, 999, 0], [1, 2, 3]])),
        ("logits of −1000", np.array([[-1000.0, -1000, -1001], [5, 0, 5]])),
    )
    for name in ("log_sum_exp", "softmax"):
        yield from (Case(name, (z,), words) for words, z in data)


def _naive_loss(z: Array, t: Array) -> Array:
    p = sigmoid(z)
    return np.where(t == 1, -np.log(p), -np.log(1 - p))


def _product_loss(z: Array, t: Array) -> Array:
    p = sigmoid(z)
    loss: Array = -t * np.log(p) - (1 - t) * np.log(1 - p)
    return loss


def _patched_loss(z: Array, t: Array) -> Array:
    p = sigmoid(z)
    loss: Array = -t * np.log(p + 1e-12) - (1 - t) * np.log(1 - p + 1e-12)
    return loss


def _overflowing_loss(z: Array, t: Array) -> Array:
    loss: Array = np.log1p(np.exp(z)) - z * t
    return loss


def _ratio_of_exponentials(z: Array) -> Array:
    p: Array = np.exp(z) / (1 + np.exp(z))
    return p


def _slope_by_p(z: Array, t: Array) -> Array:
    p = sigmoid(z)
    slope: Array = -t / p + (1 - t) / (1 - p)
    return slope


def _global_maximum(z: Array) -> Array:
    exps = np.exp(z - z.max())
    p: Array = exps / exps.sum(axis=-1, keepdims=True)
    return p


def _along(axis: int) -> Callable[[Array], Array]:
    """Return a softmax over another axis."""

    def wrong(z: Array) -> Array:
        return np.moveaxis(softmax(np.moveaxis(z, axis, -1)), -1, axis)

    return wrong


EXERCISES = (
    Exercise(
        "06_sigmoid",
        "Sigmoid and cross-entropy from logits",
        "Write the sigmoid, the cross-entropy of each pixel and its slope with respect to the logit. All three must "
        "be right for logits of ±1000: simplify the formulas before computing anything.",
        (sigmoid, cross_entropy, cross_entropy_slope),
        _sigmoid_cases,
        (
            Mistake(
                "Yours computes e^z / (1 + e^z), which is ∞/∞ for a logit of 1000; take the exponential of −|z|.",
                {"sigmoid": _ratio_of_exponentials},
            ),
            Mistake(
                "Your sign is wrong: a positive logit means a probability above one half.",
                {"sigmoid": lambda z: sigmoid(-z)},
            ),
            Mistake(
                "Yours is the hyperbolic tangent, from −1 to 1; a probability is between 0 and 1.", {"sigmoid": np.tanh}
            ),
            Mistake(
                "Yours takes the logarithm of a probability that was rounded to 0; compute the loss from the logit.",
                {"cross_entropy": _naive_loss},
            ),
            Mistake(
                "Yours has −t·log p − (1 − t)·log(1 − p): where a probability is rounded to 0 or 1, this is ∞ or 0·∞.",
                {"cross_entropy": _product_loss},
            ),
            Mistake(
                "Yours adds a tiny number inside the logarithm. The loss then stays at 27.6, and its slope is 0, "
                "however wrong the network is.",
                {"cross_entropy": _patched_loss},
            ),
            Mistake(
                "Yours computes log(1 + e^z), and e^1000 overflows; use max(z, 0) + log(1 + e^(−|z|)).",
                {"cross_entropy": _overflowing_loss},
            ),
            Mistake(
                "Yours exchanges the labels: t = 1 means that the logit should be large.",
                {"cross_entropy": lambda z, t: cross_entropy(z, 1 - t)},
            ),
            Mistake(
                "Yours is t − p; the slope is p − t.", {"cross_entropy_slope": lambda z, t: -cross_entropy_slope(z, t)}
            ),
            Mistake(
                "Yours is the slope with respect to p; the chain rule multiplies it by p·(1 − p), which gives p − t.",
                {"cross_entropy_slope": _slope_by_p},
            ),
            Mistake(
                "Yours divides by the number of pixels; the slope of each pixel's own loss is asked for.",
                {"cross_entropy_slope": lambda z, t: cross_entropy_slope(z, t) / z.size},
            ),
        ),
        (
            "np.exp(-np.abs(z)) never overflows. Write σ(z) with it, once for z ≥ 0 and once for z < 0.",
            "log(1 + e^z) = max(z, 0) + log(1 + e^(−|z|)); np.log1p(a) is log(1 + a).",
            "The loss is log(1 + e^z) − z·t, and its slope is σ(z) − t.",
        ),
    ),
    Exercise(
        "06_softmax",
        "Softmax and log-sum-exp",
        "Both run over the last axis, the classes. Logits of one pixel can be near 1000 while those of another are "
        "near −1000.",
        (log_sum_exp, softmax),
        _softmax_cases,
        (
            Mistake(
                "Yours takes the exponential of the logits themselves: e^1000 overflows, and e^(−1000) is 0.",
                {
                    "log_sum_exp": lambda z: np.log(np.exp(z).sum(axis=-1)),
                    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True),
                },
            ),
            Mistake(
                "Yours subtracts the largest logit of all pixels; a pixel whose logits are far below it gets 0/0. "
                "Subtract the maximum of each pixel.",
                {"softmax": _global_maximum},
            ),
            Mistake(
                "Yours sums over all pixels; the probabilities of *each* pixel add up to 1.",
                {"softmax": lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum()},
            ),
            Mistake("Yours runs over the first axis; the classes are on the last.", {"softmax": _along(0)}),
            Mistake("Yours is the sigmoid of every logit; these do not add up to 1.", {"softmax": sigmoid}),
            Mistake(
                "Yours subtracts the maximum and does not add it again to the logarithm.",
                {"log_sum_exp": lambda z: log_sum_exp(z) - z.max(axis=-1)},
            ),
            Mistake(
                "Yours returns the maximum; log-sum-exp is a little larger, by log K if all K logits are equal.",
                {"log_sum_exp": lambda z: z.max(axis=-1)},
            ),
        ),
        (
            "Adding the same number to all logits of a pixel does not change the probabilities.",
            "top = z.max(axis=-1, keepdims=True); then np.exp(z − top) is at most 1, and at least one element is 1.",
        ),
    ),
    *SOFTMAX_LOSS,
    *RARE_CLASSES,
)
