"""Exercises of lesson 8: upsampling by copies, by nails and by a learned stencil."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, GradientCheck, Mistake
from scratchnet.exercises.lesson_08_interpolation import EXERCISES as INTERPOLATION


def upsample_nearest(x: Array, k: int) -> Array:
    """Return maps (n, k·h, k·w, c) in which every value of x (n, h, w, c) fills a window of k×k.

    y[n, k·o + i, k·q + j, c] = x[n, o, q, c]        i, j = 0 … k − 1
    """
    return np.repeat(np.repeat(x, k, axis=1), k, axis=2)


def upsample_nearest_backward(dy: Array, k: int) -> Array:
    """Return dx (n, h, w, c) from dy (n, k·h, k·w, c): every value acts through all of its copies."""
    n, h, w, c = dy.shape
    dx: Array = dy.reshape(n, h // k, k, w // k, k, c).sum(axis=(2, 4))
    return dx


def bed_of_nails(x: Array, k: int) -> Array:
    """Return maps (n, k·h, k·w, c): every value of x (n, h, w, c) at the top left of its k×k window, zeros elsewhere.

    y[n, k·o, k·q, c] = x[n, o, q, c]
    """
    n, h, w, c = x.shape
    y = np.zeros((n, k * h, k * w, c))
    y[:, ::k, ::k] = x
    return y


def bed_of_nails_backward(dy: Array, k: int) -> Array:
    """Return dx (n, h, w, c) from dy (n, k·h, k·w, c)."""
    return dy[:, ::k, ::k].copy()


def enlarge(y: Array, stencil: Array) -> Array:
    """Return the map x (kh·h, kw·w): in every window, a value of y (h, w) times the stencil (kh, kw).

    x[kh·o + i, kw·q + j] = y[o, q] · stencil[i, j]
    """
    (h, w), (kh, kw) = y.shape, stencil.shape
    x = np.zeros((kh * h, kw * w))
    for o, q in np.ndindex(h, w):
        x[kh * o : kh * (o + 1), kw * q : kw * (q + 1)] = y[o, q] * stencil
    return x


def enlarge_backward(dx: Array, y: Array, stencil: Array) -> tuple[Array, Array]:
    """Return dy (h, w) and dstencil (kh, kw) from dx (kh·h, kw·w); the stencil is used in every window."""
    kh, kw = stencil.shape
    dy, dstencil = np.zeros(y.shape), np.zeros(stencil.shape)
    for o, q in np.ndindex(*y.shape):
        window = dx[kh * o : kh * (o + 1), kw * q : kw * (q + 1)]
        dy[o, q] = (window * stencil).sum()
        dstencil += window * y[o, q]
    return dy, dstencil


def _map_cases(name: str, forward: bool, rng: np.random.Generator) -> Iterator[Case]:
    """Return cases of a function of maps and the scale, for a forward or a backward pass."""
    side = 2 if forward else 4
    yield Case(name, (np.arange(1.0, side**2 + 1).reshape(1, side, side, 1), 2), "the case by hand")
    for n, h, w, c, k, words in (
        (1, 3, 4, 1, 2, "a map of 3×4"),
        (2, 2, 5, 3, 2, "two images"),
        (2, 4, 2, 2, 3, "k = 3"),
    ):
        scale = 1 if forward else k
        yield Case(name, (rng.standard_normal((n, scale * h, scale * w, c)), k), words)


def _nearest_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield from _map_cases("upsample_nearest", True, rng)
    yield from _map_cases("upsample_nearest_backward", False, rng)


def _nails_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield from _map_cases("bed_of_nails", True, rng)
    yield from _map_cases("bed_of_nails_backward", False, rng)


def _stencil_cases(rng: np.random.Generator) -> Iterator[Case]:
    small, stencil = np.array([[1.0, 2], [3, 4]]), np.array([[0.5, 1], [0, 0.5]])
    y, wide = rng.standard_normal((3, 4)), rng.standard_normal((2, 3))
    yield Case("enlarge", (small, stencil), "the case by hand")
    yield Case("enlarge", (y, rng.standard_normal((2, 2))), "a map of 3×4")
    yield Case("enlarge", (y, wide), "a stencil of 2×3")
    yield Case("enlarge_backward", (np.arange(16.0).reshape(4, 4), small, stencil), "the case by hand")
    yield Case("enlarge_backward", (rng.standard_normal((6, 8)), y, rng.standard_normal((2, 2))), "a map of 3×4")
    yield Case("enlarge_backward", (rng.standard_normal((6, 12)), y, wide), "a stencil of 2×3")


def _windows(dy: Array, k: int) -> Array:
    """Return a view (n, h, k, w, k, c)."""
    n, h, w, c = dy.shape
    return dy.reshape(n, h // k, k, w // k, k, c)


def _tiled_backward(dy: Array, k: int) -> Array:
    n, h, w, c = dy.shape
    dx: Array = dy.reshape(n, k, h // k, k, w // k, c).sum(axis=(1, 3))
    return dx


def _last_nail(x: Array, k: int) -> Array:
    return np.ascontiguousarray(bed_of_nails(x[:, ::-1, ::-1], k)[:, ::-1, ::-1])


def _gathered_nails(x: Array, k: int) -> Array:
    n, h, w, c = x.shape
    y = np.zeros((n, k * h, k * w, c))
    y[:, :h, :w] = x
    return y


def _flipped(dx: Array, y: Array, stencil: Array) -> tuple[Array, Array]:
    dy, dstencil = enlarge_backward(dx, y, stencil[::-1, ::-1])
    return dy, dstencil[::-1, ::-1]


def _averaged(dx: Array, y: Array, stencil: Array) -> tuple[Array, Array]:
    dy, dstencil = enlarge_backward(dx, y, stencil)
    return dy, dstencil / y.size


def _unweighted(dx: Array, y: Array, stencil: Array) -> tuple[Array, Array]:
    return enlarge_backward(dx, y, np.ones(stencil.shape))[0], enlarge_backward(dx, y, stencil)[1]


def _last_window(dx: Array, y: Array, stencil: Array) -> tuple[Array, Array]:
    dy, _ = enlarge_backward(dx, y, stencil)
    return dy, dx[-stencil.shape[0] :, -stencil.shape[1] :] * y[-1, -1]


def _stencil_unweighted(dx: Array, y: Array, stencil: Array) -> tuple[Array, Array]:
    return enlarge_backward(dx, y, stencil)[0], enlarge_backward(dx, np.ones(y.shape), stencil)[1]


EXERCISES = (
    Exercise(
        "08_nearest",
        "Nearest upsampling and its backward pass",
        "Copy every value into a whole window, and write the backward pass. The copies are equal, but their slopes "
        "are not.",
        (upsample_nearest, upsample_nearest_backward),
        _nearest_cases,
        (
            Mistake(
                "Yours repeats the whole map side by side; each *value* is to be repeated.",
                {"upsample_nearest": lambda x, k: np.tile(x, (1, k, k, 1))},
            ),
            Mistake(
                "Yours puts the value at the first pixel only and leaves zeros in the window; that is bed of nails.",
                {"upsample_nearest": bed_of_nails},
            ),
            Mistake(
                "Yours repeats the rows only; repeat the columns as well.",
                {"upsample_nearest": lambda x, k: np.repeat(x, k, axis=1)},
            ),
            Mistake(
                "Yours keeps the slope of one copy; the value acts through all of its copies, so add their slopes up.",
                {"upsample_nearest_backward": bed_of_nails_backward},
            ),
            Mistake(
                "Yours takes the mean of the slopes; they are added up.",
                {"upsample_nearest_backward": lambda dy, k: upsample_nearest_backward(dy, k) / k**2},
            ),
            Mistake(
                "Yours adds up pixels that are h rows and w columns apart, as if the map had been repeated as a "
                "whole; the copies of a value are neighbours.",
                {"upsample_nearest_backward": _tiled_backward},
            ),
        ),
        (
            "np.repeat repeats every element along one axis; rows are axis 1 and columns axis 2.",
            "dy.reshape(n, h, k, w, k, c) has the windows on axes 2 and 4.",
        ),
    ),
    Exercise(
        "08_bed_of_nails",
        "Bed of nails and its backward pass",
        "Put every value at the top left of its window, with zeros around it, and write the backward pass. Which "
        "pixels of y depend on x?",
        (bed_of_nails, bed_of_nails_backward),
        _nails_cases,
        (
            Mistake(
                "Yours copies the value to the whole window; that is nearest upsampling.",
                {"bed_of_nails": upsample_nearest},
            ),
            Mistake(
                "Your nail is at the bottom right of the window; the rule is the top left.",
                {"bed_of_nails": _last_nail, "bed_of_nails_backward": lambda dy, k: dy[:, k - 1 :: k, k - 1 :: k]},
            ),
            Mistake(
                "Yours puts the small map into the corner of the large one; each value belongs to its own window.",
                {"bed_of_nails": _gathered_nails},
            ),
            Mistake(
                "Yours adds up the slopes of the window; the zeros do not depend on x.",
                {"bed_of_nails_backward": upsample_nearest_backward},
            ),
            Mistake(
                "Yours takes the mean of the window; only the slope at the nail counts.",
                {"bed_of_nails_backward": lambda dy, k: _windows(dy, k).mean(axis=(2, 4))},
            ),
            Mistake(
                "Yours takes the largest slope of the window; only the slope at the nail counts.",
                {"bed_of_nails_backward": lambda dy, k: _windows(dy, k).max(axis=(2, 4))},
            ),
        ),
        ("A slice with a step, y[:, ::k, ::k], has the first pixel of every window.",),
    ),
    Exercise(
        "08_stencil",
        "Upsampling with a learned stencil",
        "Put a multiple of the stencil on every window, and write the gradients with respect to the map and to the "
        "stencil. The check also measures the slopes of your own forward pass.",
        (enlarge, enlarge_backward),
        _stencil_cases,
        (
            Mistake(
                "Yours flips the stencil; stencil[0, 0] belongs to the top left of the window.",
                {"enlarge": lambda y, stencil: enlarge(y, stencil[::-1, ::-1]), "enlarge_backward": _flipped},
            ),
            Mistake(
                "Yours repeats the map as a whole and multiplies it by blocks of the stencil; a window belongs to one "
                "value.",
                {"enlarge": lambda y, stencil: np.kron(stencil, y)},
            ),
            Mistake(
                "Your dy adds up the window without the stencil; every slope is multiplied by the stencil's entry.",
                {"enlarge_backward": _unweighted},
            ),
            Mistake(
                "Your dstencil adds up windows without the values of y; each window is multiplied by its value.",
                {"enlarge_backward": _stencil_unweighted},
            ),
            Mistake("Your dstencil is a mean over the windows; they are added up.", {"enlarge_backward": _averaged}),
            Mistake(
                "Your dstencil has the last window only: write += instead of =.", {"enlarge_backward": _last_window}
            ),
            Mistake(
                "Yours returns dstencil first; the order is dy, dstencil.",
                {"enlarge_backward": lambda dx, y, stencil: enlarge_backward(dx, y, stencil)[::-1]},
            ),
        ),
        (
            "Each output is a product of two factors. The slope with respect to one is the other, times dx.",
            "For every window: dy[o, q] = (window * stencil).sum(), and dstencil += window * y[o, q].",
        ),
        {"enlarge_backward": ("dy", "dstencil")},
        (
            GradientCheck(
                "enlarge",
                "enlarge_backward",
                lambda rng: (rng.standard_normal((3, 2)), rng.standard_normal((2, 3))),
                (0, 1),
                ("dy", "dstencil"),
            ),
        ),
    ),
    *INTERPOLATION,
)
