"""Exercises of lesson 2: measured slopes, and two backward passes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, GradientCheck, Mistake

FORWARDS: dict[str, Callable[[Array], Array]] = {
    "cube": lambda x: x**3,
    "exponential": np.exp,
    "mirror": lambda x: x[:, ::-1],
    "row products": lambda x: x.prod(axis=1),
}
"""Operations whose slopes are measured, by name: functions cannot be sent to the student's process."""


def numeric_gradient(forward: Callable[[Array], Array], x: Array, dy: Array, step: float) -> Array:
    """Return the measured slopes of L = Σ dy · forward(x) with respect to every element of x, by central differences.

    dy has the shape of forward(x), which may differ from that of x. Move one element at a time, to both sides:

        slope = (L with the element at x + step  −  L with the element at x − step) / (2 · step)
    """
    gradient = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        losses = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            losses.append((dy * forward(moved)).sum())
        gradient[place] = (losses[0] - losses[1]) / (2 * step)
    return gradient


def times_sum(x: Array) -> Array:
    """Return y = x · s, where s is the sum of all elements of x (any shape)."""
    y: Array = x * x.sum()
    return y


def times_sum_backward(dy: Array, x: Array) -> Array:
    """Return dx, the gradient of L = Σ dy · y with respect to x, for y = x · s with s = Σ x.

    Every element of x acts in two ways: at its own position, and through s at every position.
    """
    dx: Array = dy * x.sum() + (dy * x).sum()
    return dx


def sort_backward(dy: Array, x: Array) -> Array:
    """Return dx for the operation y = np.sort(x): x and dy have the shape (n,), and no two elements of x are equal.

    dy[k] is the slope with respect to the k-th smallest element. dx has the slopes in the order of x.
    """
    dx = np.empty(x.shape)
    dx[np.argsort(x)] = dy
    return dx


def _measured(module: Any, name: str, x: Array, dy: Array, step: float) -> Array:
    """Call numeric_gradient with the named operation."""
    gradient: Array = module.numeric_gradient(FORWARDS[name], x, dy, step)
    return gradient


def _measuring_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("numeric_gradient", ("cube", np.array([2.0]), np.array([1.0]), 0.1), "the case by hand")
    x, dy = rng.standard_normal((2, 3, 4))
    yield Case("numeric_gradient", ("exponential", x, dy, 0.25), "the exponential function of a 3×4 array")
    yield Case("numeric_gradient", ("mirror", x, dy, 0.5), "mirroring a 3×4 array")
    yield Case("numeric_gradient", ("row products", x, dy[:, 0], 0.5), "an output of another shape")


def _times_sum_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand, hand_dy = np.array([1.0, 2, 3]), np.array([1.0, 0, 0])
    x, dy = rng.standard_normal((2, 2, 3, 5))
    for name, gradients in (("times_sum", ((),) * 3), ("times_sum_backward", ((hand_dy,), (dy[0, 0],), (dy,)))):
        yield Case(name, (*gradients[0], hand), "the case by hand")
        yield Case(name, (*gradients[1], x[0, 0]), "five elements")
        yield Case(name, (*gradients[2], x), "an array of 2×3×5")


def _sort_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("sort_backward", (np.array([1.0, 2, 3]), np.array([30.0, 10, 20])), "the case by hand")
    yield Case("sort_backward", (rng.standard_normal(9), rng.permutation(9).astype(float)), "nine elements")
    yield Case("sort_backward", (rng.standard_normal(4), np.sort(rng.standard_normal(4))), "elements in order")
    yield Case("sort_backward", (rng.standard_normal(1), rng.standard_normal(1)), "one element")


def _one_sided(forward: Callable[[Array], Array], x: Array, dy: Array, step: float) -> Array:
    gradient = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        moved = x.copy()
        moved[place] += step
        gradient[place] = (dy * (forward(moved) - forward(x))).sum() / step
    return gradient


def _without_dy(forward: Callable[[Array], Array], x: Array, dy: Array, step: float) -> Array:
    return numeric_gradient(forward, x, np.ones(dy.shape), step)


def _never_restored(forward: Callable[[Array], Array], x: Array, dy: Array, step: float) -> Array:
    moved, gradient = x.copy(), np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        moved[place] += step
        above = (dy * forward(moved)).sum()
        moved[place] -= 2 * step
        gradient[place] = (above - (dy * forward(moved)).sum()) / (2 * step)
    return gradient


def _views(forward: Callable[[Array], Array], x: Array, dy: Array, step: float) -> Array:
    moved, gradient = x.copy(), np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        moved[place] = x[place] + step
        above = forward(moved)
        moved[place] = x[place] - step
        below = forward(moved)
        gradient[place] = (dy * (above - below)).sum() / (2 * step)
        moved[place] = x[place]
    return gradient


def _elementwise(forward: Callable[[Array], Array], x: Array, dy: Array, step: float) -> Array:
    slopes: Array = dy * (forward(x + step) - forward(x - step)) / (2 * step)
    return slopes


EXERCISES = (
    Exercise(
        "02_central_difference",
        "Gradients measured by central differences",
        "An operation is given as a function, forward, and everything after it as the upstream gradient dy. Measure "
        "the slope of L = Σ dy · forward(x) with respect to each element of x. Do not change x itself.",
        (numeric_gradient,),
        _measuring_cases,
        (
            Mistake(
                "Yours moves to one side only; move to both and divide by 2 · step.", {"numeric_gradient": _one_sided}
            ),
            Mistake(
                "Yours divides by the step; the two ends are 2 · step apart.",
                {"numeric_gradient": lambda f, x, dy, step: 2 * numeric_gradient(f, x, dy, step)},
            ),
            Mistake("Yours ignores dy; the loss is Σ dy · y, not Σ y.", {"numeric_gradient": _without_dy}),
            Mistake(
                "Yours does not restore an element before it moves the next one.", {"numeric_gradient": _never_restored}
            ),
            Mistake(
                "Yours keeps the result of forward while it changes the array. The result can share the array's "
                "memory, as in the mirror, and changes with it; compute the sum first, or move a copy.",
                {"numeric_gradient": _views},
            ),
            Mistake(
                "Yours moves all elements at once, which is right only if every y depends on a single x at the same "
                "position.",
                {"numeric_gradient": _elementwise},
            ),
        ),
        (
            "np.ndindex(*x.shape) gives the position of every element.",
            "For each position: moved = x.copy(); moved[place] += step; above = (dy * forward(moved)).sum(). Then the "
            "same with −step.",
        ),
        inside={"numeric_gradient": _measured},
        imports="from collections.abc import Callable",
    ),
    Exercise(
        "02_times_sum",
        "The backward pass of x times its sum",
        "Write y = x · s, where s is the sum of x, and its backward pass. The check measures the slopes of your own "
        "forward pass as well.",
        (times_sum, times_sum_backward),
        _times_sum_cases,
        (
            Mistake(
                "Yours treats s as a constant; every element of x also changes s, and so every y.",
                {"times_sum_backward": lambda dy, x: dy * x.sum()},
            ),
            Mistake(
                "Yours has only the way through s; every element also acts directly, with slope s.",
                {"times_sum_backward": lambda dy, x: np.full(x.shape, (dy * x).sum())},
            ),
            Mistake(
                "Yours takes the way through s at one position only; s reaches every y, so the sum of dy · x over all "
                "positions counts.",
                {"times_sum_backward": lambda dy, x: dy * x.sum() + dy * x},
            ),
            Mistake(
                "The slope with respect to s is the sum of dy · x; yours has x times the sum of dy.",
                {"times_sum_backward": lambda dy, x: dy * x.sum() + x * dy.sum()},
            ),
            Mistake(
                "Yours sums over the last axis only; s is the sum of all elements.",
                {"times_sum": lambda x: x * x.sum(axis=-1, keepdims=True)},
            ),
        ),
        (
            "Write L = Σ dy[k] · x[k] · s and differentiate with respect to x[j]: a product has two terms.",
            "The second term is the slope with respect to s, Σ dy · x, times the slope of s with respect to x[j], 1.",
        ),
        gradients=(GradientCheck("times_sum", "times_sum_backward", lambda rng: (rng.standard_normal((3, 4)),)),),
    ),
    Exercise(
        "02_sorting",
        "The backward pass of sorting",
        "Sorting only moves values, so each slope goes back to the position that its value came from.",
        (sort_backward,),
        _sort_cases,
        (
            Mistake(
                "Yours leaves the slopes in the sorted order; they belong to the order of x.",
                {"sort_backward": lambda dy, x: dy.copy()},
            ),
            Mistake(
                "Yours sorts the slopes once more: dy[order] instead of dx[order] = dy.",
                {"sort_backward": lambda dy, x: dy[np.argsort(x)]},
            ),
            Mistake(
                "Yours sorts the slopes by their own values; the order is that of x.",
                {"sort_backward": lambda dy, x: np.sort(dy)},
            ),
            Mistake(
                "Yours counts from the largest element; np.sort begins with the smallest.",
                {"sort_backward": lambda dy, x: sort_backward(dy[::-1], x)},
            ),
        ),
        (
            "np.argsort(x)[k] is the position in x of the k-th smallest element.",
            "y = x[order] reads; the backward pass writes: dx[order] = dy.",
        ),
    ),
)
