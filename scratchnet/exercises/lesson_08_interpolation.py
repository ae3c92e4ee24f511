"""Exercise of lesson 8: bilinear upsampling by 2."""

from collections.abc import Callable, Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake


def upsample_bilinear(x: Array) -> Array:
    """Return maps (n, 2·h, 2·w, c) from x (n, h, w, c) by bilinear interpolation.

    Enlarge the rows first, then the columns of the result in the same way. Beyond the border the nearest pixel is
    repeated: x[−1] stands for x[0], and x[h] for x[h − 1].

        y[2·o]     = ¾ · x[o] + ¼ · x[o − 1]
        y[2·o + 1] = ¾ · x[o] + ¼ · x[o + 1]
    """
    for axis in (1, 2):
        x = np.moveaxis(x, axis, 0)
        before = np.concatenate([x[:1], x[:-1]])
        after = np.concatenate([x[1:], x[-1:]])
        y = np.empty((2 * len(x), *x.shape[1:]))
        y[0::2] = 0.75 * x + 0.25 * before
        y[1::2] = 0.75 * x + 0.25 * after
        x = np.moveaxis(y, 0, axis)
    return x


def upsample_bilinear_backward(dy: Array) -> Array:
    """Return dx (n, h, w, c) from dy (n, 2·h, 2·w, c): every pixel of x collects the slopes that it has a share in.

    The slopes have the weights of the forward pass. A pixel at the border is used in place of the one beyond it, too.
    """
    for axis in (2, 1):
        dy = np.moveaxis(dy, axis, 0)
        dx = 0.75 * (dy[0::2] + dy[1::2])
        dx[:-1] += 0.25 * dy[2::2]  # y[2·o] uses x[o − 1]
        dx[1:] += 0.25 * dy[1:-1:2]  # y[2·o + 1] uses x[o + 1]
        dx[0] += 0.25 * dy[0]
        dx[-1] += 0.25 * dy[-1]
        dy = np.moveaxis(dx, 0, axis)
    return dy


def _cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.array([[0.0, 4], [8, 4]]).reshape(1, 2, 2, 1)
    yield Case("upsample_bilinear", (hand,), "the case by hand")
    yield Case("upsample_bilinear", (rng.standard_normal((1, 3, 5, 1)),), "a map of 3×5")
    yield Case("upsample_bilinear", (rng.standard_normal((2, 4, 3, 3)),), "two images with three channels")
    yield Case("upsample_bilinear", (rng.standard_normal((1, 1, 4, 2)),), "a single row")
    yield Case("upsample_bilinear_backward", (np.arange(16.0).reshape(1, 4, 4, 1),), "the case by hand")
    yield Case("upsample_bilinear_backward", (rng.standard_normal((1, 6, 10, 1)),), "a map of 6×10")
    yield Case("upsample_bilinear_backward", (rng.standard_normal((2, 8, 6, 3)),), "two images with three channels")
    yield Case("upsample_bilinear_backward", (rng.standard_normal((1, 2, 8, 2)),), "a single row")


def _along(x: Array, matrix_of: Callable[[int], Array], backward: bool = False) -> Array:
    """Multiply both axes of maps by a matrix (2·size, size), or by its transpose."""
    for axis in (1, 2):
        size = x.shape[axis] // 2 if backward else x.shape[axis]
        matrix = matrix_of(size).T if backward else matrix_of(size)
        x = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
    return x


def _weights(size: int, own: float, neighbour: float) -> Array:
    """Return the matrix without anything beyond the border."""
    matrix = np.zeros((2 * size, size))
    for o in range(size):
        matrix[2 * o : 2 * o + 2, o] = own
        if o > 0:
            matrix[2 * o, o - 1] = neighbour
        if o < size - 1:
            matrix[2 * o + 1, o + 1] = neighbour
    return matrix


def _fading(size: int) -> Array:
    return _weights(size, 0.75, 0.25)


def _exchanged(size: int) -> Array:
    matrix = _weights(size, 0.25, 0.75)
    matrix[0, 0] = matrix[-1, -1] = 1
    return matrix


def _midpoints(size: int) -> Array:
    matrix = np.zeros((2 * size, size))
    for o in range(size):
        matrix[2 * o, o] = 1
        matrix[2 * o + 1, [o, min(o + 1, size - 1)]] += 0.5
    matrix[-1, -1] = 1
    return matrix


def _wrapped(size: int) -> Array:
    matrix = _weights(size, 0.75, 0.25)
    matrix[0, -1] += 0.25
    matrix[-1, 0] += 0.25
    return matrix


def _corners(size: int) -> Array:
    position = np.linspace(0, size - 1, 2 * size)
    matrix: Array = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(size)))
    return matrix


EXERCISES = (
    Exercise(
        "08_interpolation",
        "Bilinear upsampling by 2 and its backward pass",
        "Between copies and a learned stencil there is bilinear interpolation: each new pixel is a mean of neighbours "
        "with fixed weights, the nearer one counting three times as much. Write it for a factor of 2, with its "
        "backward pass.",
        (upsample_bilinear, upsample_bilinear_backward),
        _cases,
        (
            Mistake(
                "Yours fades to 0 at the border; the pixel at the border is repeated beyond it.",
                {"upsample_bilinear": lambda x: _along(x, _fading)},
            ),
            Mistake(
                "Beyond the border, yours takes the pixel of the opposite side: in NumPy x[−1] is the last element.",
                {"upsample_bilinear": lambda x: _along(x, _wrapped)},
            ),
            Mistake(
                "Yours has the weights exchanged: the nearer pixel has ¾.",
                {"upsample_bilinear": lambda x: _along(x, _exchanged)},
            ),
            Mistake(
                "Yours keeps the pixels and puts their mean between them; the rule is ¾ and ¼ for both new pixels.",
                {"upsample_bilinear": lambda x: _along(x, _midpoints)},
            ),
            Mistake(
                "Yours aligns the corners of both maps (PyTorch's align_corners=True); here the weights are ¾ and ¼ "
                "everywhere.",
                {"upsample_bilinear": lambda x: _along(x, _corners)},
            ),
            Mistake(
                "Your gradient leaves out what a pixel at the border contributes in place of the one beyond it.",
                {"upsample_bilinear_backward": lambda dy: _along(dy, _fading, True)},
            ),
            Mistake(
                "Yours adds up the slopes of each window of 2×2; that is the backward pass of nearest upsampling.",
                {
                    "upsample_bilinear_backward": lambda dy: _along(
                        dy, lambda size: np.kron(np.eye(size), np.ones((2, 1))), True
                    )
                },
            ),
            Mistake(
                "Yours is a mean: its weights add up to 1. As the transpose of the forward pass they add up to 4.",
                {"upsample_bilinear_backward": lambda dy: upsample_bilinear_backward(dy) / 4},
            ),
        ),
        (
            "Begin with one direction: before = np.concatenate([x[:1], x[:-1]]) is every row's predecessor, with the "
            "border repeated.",
            "y[0::2] = 0.75 * x + 0.25 * before, and y[1::2] likewise with the successor. Exchange the axes and do it "
            "again.",
            "Backward: every line that reads x becomes one that adds to dx: dx += 0.75 * dy[0::2], and the quarter "
            "goes to the neighbour that was read.",
        ),
    ),
)
