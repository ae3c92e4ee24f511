"""Exercises of lesson 7: max-pooling with switches, and unpooling."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake

BY_HAND = np.array([[3.0, 9, 6, 2], [5, 2, 1, 8], [12, 3, 9, 7], [2, 5, 6, 2]])


def max_pool(x: Array, k: int) -> tuple[Array, Array]:
    """Return the maximum of every k×k window of a map (h, w), and its position inside the window.

    The windows do not overlap; h and w are multiples of k. The position is row · k + column, the switch.
    If a window holds its maximum more than once, the first one in reading order counts.

        y[o, q] = max over i, j of x[k·o + i, k·q + j]
    """
    h, w = x.shape
    y = np.empty((h // k, w // k))
    switches = np.empty((h // k, w // k), np.int64)
    for o, q in np.ndindex(*y.shape):
        window = x[k * o : k * (o + 1), k * q : k * (q + 1)]
        switches[o, q] = window.argmax()
        y[o, q] = window.max()
    return y, switches


def max_unpool(y: Array, switches: Array, k: int) -> Array:
    """Return a map (k·h, k·w): every value of y (h, w) at the position that its switch names, zeros elsewhere."""
    h, w = y.shape
    x = np.zeros((k * h, k * w))
    for o, q in np.ndindex(h, w):
        i, j = divmod(int(switches[o, q]), k)
        x[k * o + i, k * q + j] = y[o, q]
    return x


def max_pool_backward(dy: Array, switches: Array, k: int) -> Array:
    """Return dx: every gradient of dy (h, w) goes to the pixel that was the maximum of its window.

    dx[k·o + i, k·q + j] = dy[o, q] if (i, j) is the position in switches[o, q], else 0
    """
    return max_unpool(dy, switches, k)


def max_unpool_backward(dx: Array, switches: Array, k: int) -> Array:
    """Return dy (h, w), the gradient with respect to unpooling's input: read dx (k·h, k·w) at every switch."""
    dy = np.empty(switches.shape)
    for o, q in np.ndindex(*switches.shape):
        i, j = divmod(int(switches[o, q]), k)
        dy[o, q] = dx[k * o + i, k * q + j]
    return dy


def flat_positions(switches: Array, k: int) -> Array:
    """Return the positions of the maxima in the whole map (k·h, k·w), as PyTorch stores them: row · width + column."""
    h, w = switches.shape
    rows, columns = np.indices((h, w))
    i, j = np.divmod(switches, k)
    flat: Array = (k * rows + i) * (k * w) + k * columns + j
    return flat


def _switches(rng: np.random.Generator, h: int, w: int, k: int) -> Array:
    return rng.integers(0, k * k, (h, w))


def _pool_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("max_pool", (BY_HAND, 2), "the case by hand")
    yield Case("max_pool", (rng.standard_normal((6, 8)), 2), "a map of 6×8")
    yield Case("max_pool", (rng.standard_normal((6, 9)), 3), "windows of 3×3")
    yield Case("max_pool", (-1 - rng.random((4, 6)), 2), "negative values")
    yield Case("max_pool", (np.maximum(rng.integers(-3, 3, (8, 10)), 0).astype(float), 2), "equal maxima")


def _unpool_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("max_unpool", (np.array([[1.0, 2], [3, 4]]), np.array([[1, 3], [0, 0]]), 2), "the case by hand")
    yield Case("max_unpool", (rng.standard_normal((3, 5)), _switches(rng, 3, 5, 2), 2), "a map of 3×5")
    yield Case("max_unpool", (rng.standard_normal((2, 4)), _switches(rng, 2, 4, 3), 3), "windows of 3×3")


def _backward_cases(rng: np.random.Generator) -> Iterator[Case]:
    for name, scale in (("max_pool_backward", 1), ("max_unpool_backward", 2)):
        hand = np.arange(1.0, 4 * scale**2 + 1).reshape(2 * scale, 2 * scale)
        yield Case(name, (hand, np.array([[1, 3], [0, 2]]), 2), "the case by hand")
        yield Case(name, (rng.standard_normal((3 * scale, 5 * scale)), _switches(rng, 3, 5, 2), 2), "a map of 3×5")
    larger = rng.standard_normal((2, 4))
    yield Case("max_pool_backward", (larger, _switches(rng, 2, 4, 3), 3), "windows of 3×3")
    yield Case("max_unpool_backward", (rng.standard_normal((6, 12)), _switches(rng, 2, 4, 3), 3), "windows of 3×3")


def _flat_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("flat_positions", (np.array([[3, 0], [0, 3]]), 2), "the case by hand")
    yield Case("flat_positions", (_switches(rng, 3, 5, 2), 2), "a map of 6×10")
    yield Case("flat_positions", (_switches(rng, 2, 4, 3), 3), "windows of 3×3")


def _last_maximum(x: Array, k: int) -> tuple[Array, Array]:
    y, switches = max_pool(x[::-1, ::-1], k)
    return y[::-1, ::-1], k * k - 1 - switches[::-1, ::-1]


def _transposed_switch(x: Array, k: int) -> tuple[Array, Array]:
    y, switches = max_pool(x, k)
    return y, switches % k * k + switches // k


def _transposed_unpool(y: Array, switches: Array, k: int) -> Array:
    return max_unpool(y, switches % k * k + switches // k, k)


def _everywhere(y: Array, switches: Array, k: int) -> Array:
    return np.kron(y, np.ones((k, k)))


def _corner(y: Array, switches: Array, k: int) -> Array:
    return max_unpool(y, np.zeros_like(switches), k)


def _mean_backward(dy: Array, switches: Array, k: int) -> Array:
    return np.kron(dy, np.ones((k, k))) / (k * k)


def _corner_read(dx: Array, switches: Array, k: int) -> Array:
    return dx[::k, ::k]


def _window_sum(dx: Array, switches: Array, k: int) -> Array:
    h, w = switches.shape
    total: Array = dx.reshape(h, k, w, k).sum(axis=(1, 3))
    return total


def _window_max(dx: Array, switches: Array, k: int) -> Array:
    h, w = switches.shape
    dy: Array = dx.reshape(h, k, w, k).max(axis=(1, 3))
    return dy


def _narrow_width(switches: Array, k: int) -> Array:
    h, w = switches.shape
    rows, columns = np.indices((h, w))
    i, j = np.divmod(switches, k)
    flat: Array = (k * rows + i) * w + k * columns + j
    return flat


def _column_order(switches: Array, k: int) -> Array:
    h, w = switches.shape
    rows, columns = np.indices((h, w))
    i, j = np.divmod(switches, k)
    flat: Array = (k * columns + j) * (k * h) + k * rows + i
    return flat


EXERCISES = (
    Exercise(
        "07_switches",
        "Max-pooling with switches",
        "Pooling keeps the largest value of every window and remembers where it was. Without that position, nothing "
        "could put a value back there.",
        (max_pool,),
        _pool_cases,
        (
            Mistake("The last of equal maxima wins in yours; the rule is the first.", {"max_pool": _last_maximum}),
            Mistake("Your switch is column · k + row; it must be row · k + column.", {"max_pool": _transposed_switch}),
            Mistake(
                "Your maximum starts at 0, so it is wrong for windows of negative values; start from −∞.",
                {"max_pool": lambda x, k: max_pool(np.maximum(x, 0), k)},
            ),
            Mistake(
                "Yours takes the largest absolute value; the maximum of −3 and 2 is 2.",
                {"max_pool": lambda x, k: (max_pool(x, k)[0], max_pool(np.abs(x), k)[1])},
            ),
        ),
        (
            "Cut out the window with slices: x[k*o : k*(o+1), k*q : k*(q+1)].",
            "np.argmax of a window counts in reading order and returns the first of equal maxima.",
        ),
        {"max_pool": ("y", "switches")},
    ),
    Exercise(
        "07_unpooling",
        "Unpooling with switches",
        "Unpooling is the counterpart of pooling: every value goes back to the position that its switch remembers.",
        (max_unpool,),
        _unpool_cases,
        (
            Mistake(
                "Yours copies every value to its whole window; only the switch's pixel gets it.",
                {"max_unpool": _everywhere},
            ),
            Mistake("Yours writes to the window's first pixel and ignores the switch.", {"max_unpool": _corner}),
            Mistake(
                "Yours reads the switch as column · k + row; it is row · k + column.",
                {"max_unpool": _transposed_unpool},
            ),
        ),
        ("divmod(switch, k) returns the row and the column inside the window.",),
    ),
    Exercise(
        "07_backwards",
        "The backward passes of pooling and unpooling",
        "A maximum passes its gradient to the pixel that won and to no other. Unpooling only moves values, so its "
        "gradient is read where the values were written.",
        (max_pool_backward, max_unpool_backward),
        _backward_cases,
        (
            Mistake(
                "Yours spreads the gradient over the whole window; that is the gradient of *mean* pooling.",
                {"max_pool_backward": _mean_backward},
            ),
            Mistake(
                "Yours sends the gradient to the window's first pixel and ignores the switch.",
                {"max_pool_backward": _corner, "max_unpool_backward": _corner_read},
            ),
            Mistake(
                "Yours copies the gradient to all pixels of the window; only the maximum influences the result.",
                {"max_pool_backward": _everywhere},
            ),
            Mistake(
                "Yours sums the gradients of the window; the zeros around the value do not depend on the input.",
                {"max_unpool_backward": _window_sum},
            ),
            Mistake(
                "Yours takes the largest gradient of the window; it must be the one at the switch.",
                {"max_unpool_backward": _window_max},
            ),
        ),
        (
            "The first function is one you have written already, with other names.",
            "The second one has the same loop, but reads dx at the position to which unpooling writes a value.",
        ),
    ),
    Exercise(
        "07_flat_positions",
        "Switches as PyTorch stores them",
        "PyTorch numbers the pixels of the whole map in reading order. Compute these positions from the switches.",
        (flat_positions,),
        _flat_cases,
        (
            Mistake(
                "Yours multiplies the row by the width of the pooled map; use that of the large map.",
                {"flat_positions": _narrow_width},
            ),
            Mistake(
                "Yours exchanges row and column of the switch.",
                {"flat_positions": lambda switches, k: flat_positions(switches % k * k + switches // k, k)},
            ),
            Mistake(
                "Yours counts down the columns; the positions follow reading order, row by row.",
                {"flat_positions": _column_order},
            ),
        ),
        ("The window (o, q) begins at row k·o and column k·q of the large map.",),
    ),
)
