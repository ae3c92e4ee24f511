"""Exercises of lesson 22: the work of a thread, gathering, and sums in a fixed order."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake

Indices = tuple[int, int, int, int]


def blocks_of(elements: int, block_size: int) -> int:
    """Return the number of blocks of ``block_size`` threads that have a thread for every element."""
    return -(-elements // block_size)


def element_of(block: int, thread: int, block_size: int, shape: tuple[int, int, int, int]) -> tuple[int, ...]:
    """Return the element (image, row, column, channel) on which one thread works; () if there is no work for it.

    Thread number ``thread`` of block number ``block`` has the flat index block · block_size + thread. The elements of a
    map of shape (n, h, w, c) are counted in C order, the channels fastest. Threads from n·h·w·c on exit.
    """
    n, h, w, c = shape
    flat = block * block_size + thread
    if flat >= n * h * w * c:
        return ()
    pixel, channel = divmod(flat, c)
    line, column = divmod(pixel, w)
    image, row = divmod(line, h)
    return image, row, column, channel


def gather_unpool(y: Array, switches: Array, k: int, stride: int, size: tuple[int, int]) -> Array:
    """Return the unpooled map (H, W) of size ``size``, one thread per *pixel*.

    The window (o, q) of the pooled map y (h, w) begins at row o·stride and column q·stride of the large map and has k×k
    pixels; windows may overlap. Its switch, row · k + column inside the window, names the pixel that it chose. A pixel
    is the sum of y over all windows that chose it:

        x[v, u] = Σ y[o, q] over all o, q with (v − o·s)·k + (u − q·s) = switches[o, q] and (v, u) in the window
    """
    x = np.zeros(size)
    for v, u in np.ndindex(*size):
        for o, q in np.ndindex(*y.shape):
            i, j = v - o * stride, u - q * stride
            if 0 <= i < k and 0 <= j < k and switches[o, q] == i * k + j:
                x[v, u] += y[o, q]
    return x


def pairwise_sum(x: Array) -> np.float32:
    """Return the sum of the values x (n,), float32, in pairs: first with second, third with fourth, and so on.

    The results are added in pairs again, until one is left. An odd value at the end moves to the next round. Every sum
    is rounded to float32.
    """
    while len(x) > 1:
        pairs = x[: len(x) // 2 * 2]
        x = np.concatenate([pairs[0::2] + pairs[1::2], x[len(pairs) :]])
    return np.float32(x[0])


def _thread_cases(rng: np.random.Generator) -> Iterator[Case]:
    for elements, size, words in (
        (10, 4, "the case by hand"),
        (12, 4, "full blocks"),
        (1, 256, "one element"),
        (224 * 224 * 64, 256, "a map of 224×224×64"),
        (1001, 32, "1001 elements"),
    ):
        yield Case("blocks_of", (elements, size), words)
    yield Case("element_of", (1, 2, 4, (1, 2, 3, 2)), "the case by hand")
    yield Case("element_of", (3, 0, 4, (1, 2, 3, 2)), "a thread without work")
    shape = (3, 4, 5, 2)
    for i, flat in enumerate([119, *rng.choice(118, 4, replace=False).tolist()]):
        yield Case("element_of", (*divmod(flat, 16), 16, shape), "the last element" if i == 0 else f"element {flat}")
    yield Case("element_of", (7, 8, 16, shape), "the first thread without work")


def _gather_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("gather_unpool", (np.array([[1.0, 2]]), np.array([[1, 0]]), 2, 1, (2, 3)), "the case by hand")
    for shape, k, stride, words in (
        ((3, 4), 2, 2, "windows that do not overlap"),
        ((4, 3), 3, 2, "windows that overlap"),
        ((2, 3), 2, 3, "windows with gaps between them"),
    ):
        size = (shape[0] - 1) * stride + k, (shape[1] - 1) * stride + k
        switches = rng.integers(0, k * k, shape)
        yield Case("gather_unpool", (rng.standard_normal(shape), switches, k, stride, size), words)
    peak = np.array([[8, 6], [2, 0]])  # all four windows choose the pixel in the middle
    yield Case("gather_unpool", (np.array([[1.0, 2], [4, 8]]), peak, 3, 2, (5, 5)), "a pixel that four windows chose")


def _sum_cases(rng: np.random.Generator) -> Iterator[Case]:
    values = {
        "the case by hand, 1e8 + 1 − 1e8 + 1": [1e8, 1, -1e8, 1],
        "pairs that cancel": [1e8, -1e8, 1, 1],
        "five values": [1e8, -1e8, 1, 1, 5],
        "seven values": [1, 1e8, 3, 1e8, -2e8, 5, 1],
        "one value": [2.5],
    }
    for words, parts in values.items():
        yield Case("pairwise_sum", (np.array(parts, np.float32),), words)
    large = (1e4 * rng.standard_normal(1001)).astype(np.float32)
    yield Case("pairwise_sum", (large,), "1001 values")


def _element(flat: int, shape: Indices, order: tuple[int, ...]) -> tuple[int, ...]:
    """Return the element of a flat index if the axes are counted in another order, the last fastest."""
    if flat >= int(np.prod(shape)):
        return ()
    found = np.unravel_index(flat, tuple(shape[axis] for axis in order))
    return tuple(int(found[order.index(axis)]) for axis in range(4))


def _without_exit(block: int, thread: int, block_size: int, shape: Indices) -> tuple[int, ...]:
    _, h, w, c = shape
    flat = block * block_size + thread
    return flat // (h * w * c), flat // (w * c) % h, flat // c % w, flat % c


def _h_for_w(block: int, thread: int, block_size: int, shape: Indices) -> tuple[int, ...]:
    n, h, w, c = shape
    flat = block * block_size + thread
    return _without_exit(0, flat, 0, (n, w, h, c)) if flat < n * h * w * c else ()


def _scatter(y: Array, switches: Array, k: int, stride: int, size: tuple[int, int]) -> Array:
    x = np.zeros(size)
    for o, q in np.ndindex(*y.shape):
        i, j = divmod(int(switches[o, q]), k)
        x[o * stride + i, q * stride + j] = y[o, q]
    return x


def _first_window(y: Array, switches: Array, k: int, stride: int, size: tuple[int, int]) -> Array:
    return _scatter(y[::-1, ::-1], k * k - 1 - switches[::-1, ::-1], k, stride, size)[::-1, ::-1]


def _left_to_right(x: Array) -> np.float32:
    total = np.float32(0)
    for value in x:
        total += value
    return total


def _halves(x: Array) -> np.float32:
    while len(x) > 1:
        half = len(x) // 2
        x = np.concatenate([x[:half] + x[half : 2 * half], x[2 * half :]])
    return np.float32(x[0])


def _odd_dropped(x: Array) -> np.float32:
    while len(x) > 1:
        x = x[: len(x) // 2 * 2 : 2] + x[1 : len(x) // 2 * 2 : 2]
    return np.float32(x[0])


EXERCISES = (
    Exercise(
        "22_threads",
        "The work of one thread",
        "A thread knows its block, the size of the blocks and its index in the block. Compute how many blocks there "
        "must be, and on which element a thread works.",
        (blocks_of, element_of),
        _thread_cases,
        (
            Mistake(
                "Yours rounds down; then the last elements have no thread.",
                {"blocks_of": lambda elements, size: elements // size},
            ),
            Mistake(
                "Yours has one block too many if the blocks divide the elements.",
                {"blocks_of": lambda elements, size: elements // size + 1},
            ),
            Mistake("Yours does not exit; a thread from n·h·w·c on has no work.", {"element_of": _without_exit}),
            Mistake(
                "Your channels are the slowest axis of an image; in (n, h, w, c) they are the fastest.",
                {"element_of": lambda block, thread, size, shape: _element(block * size + thread, shape, (0, 3, 1, 2))},
            ),
            Mistake(
                "Yours divides by the height; a row has w pixels.",
                {"element_of": _h_for_w},
            ),
            Mistake(
                "Yours ignores the block; the flat index is block · block_size + thread.",
                {"element_of": lambda block, thread, size, shape: _element(thread, shape, (0, 1, 2, 3))},
            ),
        ),
        (
            "The remainder of the flat index by c is the channel. What does the quotient count?",
            "divmod(a, b) returns quotient and remainder. Use it three times.",
        ),
    ),
    Exercise(
        "22_gather",
        "Unpooling by gathering",
        "If windows overlap, two threads that scatter may write to one pixel. Give each pixel a thread instead, which "
        "adds the values of the windows that chose it.",
        (gather_unpool,),
        _gather_cases,
        (
            Mistake(
                "The last window wins in yours; if several windows chose a pixel, their values are added.",
                {"gather_unpool": _scatter},
            ),
            Mistake(
                "Yours stops at the first window that chose the pixel; the others add their values too.",
                {"gather_unpool": _first_window},
            ),
            Mistake(
                "Yours reads the switch as column · k + row; it is row · k + column.",
                {
                    "gather_unpool": lambda y, switches, k, stride, size: gather_unpool(
                        y, switches % k * k + switches // k, k, stride, size
                    )
                },
            ),
            Mistake(
                "Your windows begin k pixels apart; they begin ``stride`` pixels apart.",
                {"gather_unpool": lambda y, switches, k, stride, size: gather_unpool(y, switches, k, k, size)},
            ),
        ),
        (
            "For pixel (v, u) and window (o, q), the place inside the window is (v − o·s, u − q·s).",
            "Check that both coordinates are from 0 to k − 1 before you compare with the switch.",
        ),
    ),
    Exercise(
        "22_pairwise",
        "Summation in pairs",
        "The sum of floating-point values depends on the order. Add in pairs: the order is fixed, and rounding errors "
        "grow more slowly than from left to right.",
        (pairwise_sum,),
        _sum_cases,
        (
            Mistake("Yours adds from left to right; add neighbours in pairs.", {"pairwise_sum": _left_to_right}),
            Mistake(
                "Yours adds the first half to the second; the pairs are neighbours.",
                {"pairwise_sum": _halves},
            ),
            Mistake("Yours drops an odd value at the end; it moves to the next round.", {"pairwise_sum": _odd_dropped}),
            Mistake(
                "Yours sums in float64; every sum is rounded to float32.",
                {"pairwise_sum": lambda x: np.float32(x.astype(np.float64).sum())},
            ),
        ),
        (
            "x[0::2] are the first values of all pairs, x[1::2] the second ones.",
            "Repeat until one value is left: while len(x) > 1.",
        ),
    ),
)
