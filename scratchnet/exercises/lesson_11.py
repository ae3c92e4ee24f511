"""Exercises of lesson 11: batch norm."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, GradientCheck, Mistake


def batch_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """Return batch norm of maps x (n, h, w, c) with the statistics of the batch; gamma and beta are (c,).

    Mean μ and variance σ² of a channel are taken over all pixels of all images; σ² is the mean squared distance:

        y = gamma · (x − μ) / √(σ² + eps) + beta
    """
    mean = x.mean(axis=(0, 1, 2))
    variance = ((x - mean) ** 2).mean(axis=(0, 1, 2))
    y: Array = gamma * (x - mean) / np.sqrt(variance + eps) + beta
    return y


def batch_norm_backward(dy: Array, x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Array, Array]:
    """Return dx (n, h, w, c), dgamma (c,) and dbeta (c,), given the upstream gradient dy (n, h, w, c).

    With x̂ = (x − μ) / √(σ² + eps), and mean and Σ over all pixels of all images:

        dx = gamma / √(σ² + eps) · (dy − mean(dy) − x̂ · mean(dy · x̂))
        dgamma = Σ dy · x̂
        dbeta = Σ dy
    """
    axes = (0, 1, 2)
    mean = x.mean(axis=axes)
    root = np.sqrt(((x - mean) ** 2).mean(axis=axes) + eps)
    normal = (x - mean) / root
    dx = gamma / root * (dy - dy.mean(axis=axes) - normal * (dy * normal).mean(axis=axes))
    return dx, (dy * normal).sum(axis=axes), dy.sum(axis=axes)


def fold(
    weight: Array, bias: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float
) -> tuple[Array, Array]:
    """Return the weight (kh, kw, a, b) and the bias (b,) of one convolution that replaces two layers.

    The layers are a convolution with ``weight`` and ``bias``, and batch norm with the *fixed* mean (b,) and variance
    (b,), gamma (b,) and beta (b,):

        y = gamma · (x ∗ weight + bias − mean) / √(variance + eps) + beta
    """
    factor = gamma / np.sqrt(variance + eps)
    return weight * factor, (bias - mean) * factor + beta


def running_average(values: Array, pace: float, start: float) -> Array:
    """Return the running average after each of the values (n,): (n,).

    The average begins with ``start``. With each value it moves by the fraction ``pace`` of the way to the value:

        average ← average + pace · (value − average)
    """
    average, averages = start, []
    for value in values:
        average = average + pace * (value - average)
        averages.append(average)
    return np.array(averages)


def _affine(rng: np.random.Generator, c: int) -> tuple[Array, Array]:
    return rng.uniform(0.5, 2, c), rng.standard_normal(c)


def _forward_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.array([1.0, 3, 5, 7]).reshape(1, 1, 4, 1)
    yield Case("batch_norm", (hand, np.array([2.0]), np.array([1.0]), 0.0), "the case by hand")
    for shape, words in (((1, 4, 5, 1), "one image, one channel"), ((3, 2, 4, 3), "three images, three channels")):
        yield Case("batch_norm", (3 + 2 * rng.standard_normal(shape), *_affine(rng, shape[3]), 1e-5), words)
    yield Case("batch_norm", (0.01 * rng.standard_normal((2, 3, 4, 2)), *_affine(rng, 2), 1e-3), "small values")
    yield Case("batch_norm", (np.full((2, 3, 2, 2), 5.0), *_affine(rng, 2), 1e-5), "constant channels")


def _backward_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.array([1.0, 3, 5, 7]).reshape(1, 1, 4, 1)
    dy = np.array([1.0, 0, 0, 0]).reshape(1, 1, 4, 1)
    yield Case("batch_norm_backward", (dy, hand, np.array([2.0]), np.array([1.0]), 0.0), "the case by hand")
    for shape, words in (((1, 4, 5, 1), "one image, one channel"), ((3, 2, 4, 3), "three images, three channels")):
        arguments = rng.standard_normal(shape), 3 + 2 * rng.standard_normal(shape), *_affine(rng, shape[3]), 1e-2
        yield Case("batch_norm_backward", arguments, words)


def _fold_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.full((1, 1, 1, 1), 6.0), *(np.array([value]) for value in (5.0, 4.0, 1.0, 3.0, 4.0)), 0.0
    yield Case("fold", hand, "the case by hand")
    for shape, eps, words in (((3, 3, 2, 4), 1e-5, "a 3×3 convolution"), ((1, 2, 3, 3), 0.1, "a large eps")):
        b = shape[3]
        statistics = rng.standard_normal(b), rng.uniform(0.2, 3, b)
        yield Case(
            "fold", (rng.standard_normal(shape), rng.standard_normal(b), *_affine(rng, b), *statistics, eps), words
        )
    yield Case("running_average", (np.array([10.0, 20, 20]), 0.5, 0.0), "the case by hand")
    yield Case("running_average", (rng.standard_normal(8), 0.1, 1.0), "eight batches")
    yield Case("running_average", (2 + rng.standard_normal(5), 0.01, 1.0), "a slow average")


def _gradient_arguments(rng: np.random.Generator) -> tuple[Any, ...]:
    return 2 * rng.standard_normal((2, 3, 4, 3)), *_affine(rng, 3), 1e-3


def _per_image(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    return np.concatenate([batch_norm(image[None], gamma, beta, eps) for image in x])


def _all_channels(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    y: Array = gamma * (x - x.mean()) / np.sqrt(x.var() + eps) + beta
    return y


def _divided_by_variance(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    axes = (0, 1, 2)
    y: Array = gamma * (x - x.mean(axis=axes)) / (x.var(axis=axes) + eps) + beta
    return y


def _with_n_minus_1(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    axes = (0, 1, 2)
    y: Array = gamma * (x - x.mean(axis=axes)) / np.sqrt(x.var(axis=axes, ddof=1) + eps) + beta
    return y


def _eps_outside(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    axes = (0, 1, 2)
    y: Array = gamma * (x - x.mean(axis=axes)) / (x.std(axis=axes) + eps) + beta
    return y


def _direct_only(dy: Array, x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Array, Array]:
    _, dgamma, dbeta = batch_norm_backward(dy, x, gamma, beta, eps)
    return dy * gamma / np.sqrt(x.var(axis=(0, 1, 2)) + eps), dgamma, dbeta


def _without_variance(dy: Array, x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Array, Array]:
    dx, dgamma, dbeta = _direct_only(dy, x, gamma, beta, eps)
    return dx - dx.mean(axis=(0, 1, 2)), dgamma, dbeta


def _without_gamma(dy: Array, x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Array, Array]:
    dx, dgamma, dbeta = batch_norm_backward(dy, x, gamma, beta, eps)
    return dx / gamma, dgamma, dbeta


def _dgamma_of_x(dy: Array, x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Array, Array]:
    dx, _, dbeta = batch_norm_backward(dy, x, gamma, beta, eps)
    return dx, (dy * x).sum(axis=(0, 1, 2)), dbeta


def _means(dy: Array, x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Array, Array]:
    dx, dgamma, dbeta = batch_norm_backward(dy, x, gamma, beta, eps)
    count = dy.size // dy.shape[3]
    return dx, dgamma / count, dbeta / count


def _bias_unscaled(
    weight: Array, bias: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float
) -> tuple[Array, Array]:
    return fold(weight, bias, gamma, beta, mean, variance, eps)[0], bias - mean + beta


def _bias_forgotten(
    weight: Array, bias: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float
) -> tuple[Array, Array]:
    return fold(weight, np.zeros_like(bias), gamma, beta, mean, variance, eps)


def _no_root(
    weight: Array, bias: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float
) -> tuple[Array, Array]:
    factor = gamma / (variance + eps)
    return weight * factor, (bias - mean) * factor + beta


def _no_eps(
    weight: Array, bias: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float
) -> tuple[Array, Array]:
    return fold(weight, bias, gamma, beta, mean, variance, 0.0)


def _plain_means(values: Array, pace: float, start: float) -> Array:
    averages: Array = np.cumsum(values) / np.arange(1, len(values) + 1)
    return averages


def _before(values: Array, pace: float, start: float) -> Array:
    return np.concatenate([[start], running_average(values, pace, start)[:-1]])


EXERCISES = (
    Exercise(
        "11_batch_norm",
        "Batch norm in training",
        "Batch norm removes location and spread of every channel, measured over all pixels of all images of the batch, "
        "and gives the channel a learned scale and shift.",
        (batch_norm,),
        _forward_cases,
        (
            Mistake(
                "Yours normalises every image alone; the statistics are those of the whole batch.",
                {"batch_norm": _per_image},
            ),
            Mistake("Yours mixes the channels; every channel has its own statistics.", {"batch_norm": _all_channels}),
            Mistake(
                "Yours divides by the variance; divide by its square root, the standard deviation.",
                {"batch_norm": _divided_by_variance},
            ),
            Mistake(
                "Yours divides the squared distances by N − 1; batch norm divides them by N (ddof=0).",
                {"batch_norm": _with_n_minus_1},
            ),
            Mistake(
                "Yours adds eps to the standard deviation; it is added to the variance, inside the root.",
                {"batch_norm": _eps_outside},
            ),
        ),
        (
            "x.mean(axis=(0, 1, 2)) has one value per channel.",
            "Arrays (c,) combine with (n, h, w, c) along the last axis without reshaping.",
        ),
    ),
    Exercise(
        "11_backward",
        "The backward pass of batch norm",
        "A pixel changes the output directly, through the mean and through the variance. Write all three parts of dx, "
        "and the gradients of scale and shift. batch_norm itself is needed for the numerical check.",
        (batch_norm, batch_norm_backward),
        lambda rng: (case for cases in (_forward_cases, _backward_cases) for case in cases(rng)),
        (
            Mistake(
                "Your dx has the direct part only; the mean and the variance depend on x too.",
                {"batch_norm_backward": _direct_only},
            ),
            Mistake(
                "Your dx lacks the part through the variance, x̂ · mean(dy · x̂).",
                {"batch_norm_backward": _without_variance},
            ),
            Mistake("Your dx is not multiplied by gamma.", {"batch_norm_backward": _without_gamma}),
            Mistake(
                "Your dgamma multiplies dy by x; gamma is multiplied by the normalised x̂.",
                {"batch_norm_backward": _dgamma_of_x},
            ),
            Mistake(
                "Your dgamma and dbeta are means; gamma and beta act on every pixel, so their gradients are sums.",
                {"batch_norm_backward": _means},
            ),
        ),
        (
            "Compute x̂ first, as in the forward pass.",
            "Removed from dy: its mean, and x̂ times the mean of dy · x̂.",
        ),
        results={"batch_norm_backward": ("dx", "dgamma", "dbeta")},
        gradients=(
            GradientCheck(
                "batch_norm", "batch_norm_backward", _gradient_arguments, (0, 1, 2), ("dx", "dgamma", "dbeta")
            ),
        ),
    ),
    Exercise(
        "11_fixed_statistics",
        "Batch norm in use: folding and running averages",
        "After training, mean and variance are fixed. Then batch norm is a multiplication and an addition, and can be "
        "folded into the convolution before it. The averages themselves are collected during training.",
        (fold, running_average),
        _fold_cases,
        (
            Mistake(
                "Your bias is not scaled; batch norm scales the convolution's bias and the mean as well.",
                {"fold": _bias_unscaled},
            ),
            Mistake("Yours loses the bias of the convolution.", {"fold": _bias_forgotten}),
            Mistake("Yours divides by the variance; divide by its square root.", {"fold": _no_root}),
            Mistake("Yours leaves out eps; it is added to the variance.", {"fold": _no_eps}),
            Mistake(
                "Yours keeps the fraction ``pace`` of the old average; it moves by ``pace`` towards the value.",
                {"running_average": lambda values, pace, start: running_average(values, 1 - pace, start)},
            ),
            Mistake(
                "Yours is the mean of all values so far; a running average forgets old values.",
                {"running_average": _plain_means},
            ),
            Mistake(
                "Yours returns the averages before each value; return them after it.", {"running_average": _before}
            ),
        ),
        (
            "Insert the convolution into the formula and multiply out: what multiplies x, and what is added?",
            "weight * factor multiplies along the last axis, the output channels.",
        ),
        results={"fold": ("weight", "bias")},
    ),
)
