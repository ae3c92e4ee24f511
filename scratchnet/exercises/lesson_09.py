"""Exercises of lesson 9: transposed convolution."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake


def conv_transpose(y: Array, weight: Array, stride: int, padding: int) -> Array:
    """Return the transposed convolution of y (n, h, w, b) with weight (kh, kw, a, b): x (n, H, W, a).

    Every value of y adds a copy of the kernel, multiplied by the value; neighbouring copies begin ``stride`` pixels
    apart. Then ``padding`` rows and columns are cropped on every side, so H = (h − 1)·stride + kh − 2·padding:

        x[n, o·s + i − p, q·s + j − p, a] += Σ over b of y[n, o, q, b] · weight[i, j, a, b]
    """
    n, h, w, _ = y.shape
    kh, kw, a, _ = weight.shape
    x = np.zeros((n, (h - 1) * stride + kh, (w - 1) * stride + kw, a))
    for o, q in np.ndindex(h, w):
        for i, j in np.ndindex(kh, kw):
            x[:, o * stride + i, q * stride + j] += y[:, o, q] @ weight[i, j].T
    return x[:, padding : x.shape[1] - padding, padding : x.shape[2] - padding]


def convolution_matrix(kernel: Array, size: int, stride: int, padding: int) -> Array:
    """Return the matrix W of a 1-d convolution: W @ x is the convolution of x (size,) with kernel (k,).

    W has a row for every output, (size + 2·padding − k) // stride + 1 of them, and a column for every element of x:

        W[o, o·s + i − p] = kernel[i]

    Elements of the padding are 0 and have no column.
    """
    outputs = (size + 2 * padding - len(kernel)) // stride + 1
    matrix = np.zeros((outputs, size))
    for o in range(outputs):
        for i, value in enumerate(kernel):
            if 0 <= o * stride + i - padding < size:
                matrix[o, o * stride + i - padding] = value
    return matrix


def scatter(y: Array, kernel: Array, size: int, stride: int, padding: int) -> Array:
    """Return the transposed matrix of that convolution times y: the 1-d transposed convolution, (size,)."""
    product: Array = convolution_matrix(kernel, size, stride, padding).T @ y
    return product


def transposed_size(size: int, k: int, stride: int, padding: int, output_padding: int) -> int:
    """Return the rows of a transposed convolution's output, for an input of ``size`` rows and a kernel of k rows.

    ``padding`` rows are cropped at both ends; ``output_padding`` additional rows are kept at the bottom.
    """
    return (size - 1) * stride + k - 2 * padding + output_padding


def output_padding_of(large: int, k: int, stride: int, padding: int) -> int:
    """Return the output padding with which a transposed convolution restores ``large`` rows.

    A convolution with the same k, stride and padding maps ``large`` rows to a number of rows, rounding down. The
    transposed convolution maps these back to ``large`` rows if it keeps the right number of additional rows.
    """
    return (large + 2 * padding - k) % stride


def _copies_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand, kernel = np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1), np.arange(1.0, 10).reshape(3, 3, 1, 1)
    yield Case("conv_transpose", (hand, kernel, 2, 0), "the case by hand")
    data = (
        ((1, 3, 4, 1), (3, 3, 1, 1), 1, 0, "stride 1"),
        ((1, 3, 4, 2), (3, 2, 3, 2), 2, 0, "channels"),
        ((3, 2, 3, 2), (2, 3, 2, 2), 3, 0, "three images"),
        ((2, 4, 3, 3), (4, 4, 2, 3), 2, 1, "padding 1"),
    )
    for shape, weight, stride, padding, words in data:
        arguments = rng.standard_normal(shape), rng.standard_normal(weight), stride, padding
        yield Case("conv_transpose", arguments, words)


def _matrix_cases(rng: np.random.Generator) -> Iterator[Case]:
    data = (
        (3, 5, 2, 0, "stride 2"),
        (4, 6, 1, 0, "a kernel of 4"),
        (3, 6, 1, 1, "padding 1"),
        (5, 8, 3, 2, "stride 3, padding 2"),
    )
    yield Case("convolution_matrix", (np.array([1.0, 2, 3]), 5, 2, 0), "the case by hand")
    for k, size, stride, padding, words in data:
        yield Case("convolution_matrix", (rng.standard_normal(k), size, stride, padding), words)
    yield Case("scatter", (np.array([1.0, 10]), np.array([1.0, 2, 3]), 5, 2, 0), "the case by hand")
    for k, size, stride, padding, words in data:
        y = rng.standard_normal((size + 2 * padding - k) // stride + 1)
        yield Case("scatter", (y, rng.standard_normal(k), size, stride, padding), words)


def _size_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("transposed_size", (2, 3, 2, 1, 1), "the case by hand, 2 rows doubled")
    yield Case("transposed_size", (2, 3, 2, 0, 0), "no padding")
    yield Case("transposed_size", (7, 4, 2, 1, 0), "padding 1")
    yield Case("transposed_size", (5, 5, 3, 2, 2), "stride 3")
    yield Case("transposed_size", (1, 7, 1, 0, 0), "one row to seven")
    yield Case("output_padding_of", (4, 3, 2, 1), "the case by hand, 4 rows")
    yield Case("output_padding_of", (3, 3, 2, 1), "3 rows")
    yield Case("output_padding_of", (10, 4, 3, 0), "stride 3")
    yield Case("output_padding_of", (12, 4, 3, 0), "12 rows, stride 3")
    yield Case("output_padding_of", (9, 5, 4, 2), "stride 4")


def _overwritten(y: Array, weight: Array, stride: int, padding: int) -> Array:
    n, h, w, _ = y.shape
    kh, kw, a, _ = weight.shape
    x = np.zeros((n, (h - 1) * stride + kh, (w - 1) * stride + kw, a))
    for o, q in np.ndindex(h, w):
        for i, j in np.ndindex(kh, kw):
            x[:, o * stride + i, q * stride + j] = y[:, o, q] @ weight[i, j].T
    return x[:, padding : x.shape[1] - padding, padding : x.shape[2] - padding]


def _side_by_side(y: Array, weight: Array, stride: int, padding: int) -> Array:
    x = conv_transpose(y, weight, stride, padding)
    dense = conv_transpose(y, weight, 1, padding)
    x[:] = 0
    x[:, : dense.shape[1], : dense.shape[2]] = dense
    return x


def _cropped_at_the_end(y: Array, weight: Array, stride: int, padding: int) -> Array:
    x = conv_transpose(y, weight, stride, 0)
    return x[:, : x.shape[1] - 2 * padding, : x.shape[2] - 2 * padding]


def _no_shift(kernel: Array, size: int, stride: int, padding: int) -> Array:
    return convolution_matrix(kernel, size + padding, stride, 0)[
        : (size + 2 * padding - len(kernel)) // stride + 1, :size
    ]


def _padding_as_columns(kernel: Array, size: int, stride: int, padding: int) -> Array:
    return convolution_matrix(kernel, size + 2 * padding, stride, 0)


def _unit_steps(kernel: Array, size: int, stride: int, padding: int) -> Array:
    outputs = (size + 2 * padding - len(kernel)) // stride + 1
    return convolution_matrix(kernel, size, 1, padding)[:outputs]


EXERCISES = (
    Exercise(
        "09_copies",
        "Transposed convolution by copies of the kernel",
        "A convolution gathers: every output is computed from a window. A transposed convolution scatters: every input "
        "adds a copy of the kernel to the output. Where copies overlap, they are added.",
        (conv_transpose,),
        _copies_cases,
        (
            Mistake(
                "A later copy replaces an earlier one in yours; where copies overlap they are added (+=).",
                {"conv_transpose": _overwritten},
            ),
            Mistake(
                "Yours flips the kernel; its first element belongs to the first row and column of the copy.",
                {"conv_transpose": lambda y, weight, s, p: conv_transpose(y, weight[::-1, ::-1], s, p)},
            ),
            Mistake(
                "Your copies begin 1 pixel apart; neighbouring ones begin ``stride`` pixels apart.",
                {"conv_transpose": _side_by_side},
            ),
            Mistake(
                "Yours crops 2·padding at the bottom and on the right; it is padding on every side.",
                {"conv_transpose": _cropped_at_the_end},
            ),
            Mistake(
                "Yours does not crop; padding makes the output of a transposed convolution smaller.",
                {"conv_transpose": lambda y, weight, s, p: conv_transpose(y, weight, s, 0)},
            ),
        ),
        (
            "Begin with zeros of ((h − 1)·s + kh, (w − 1)·s + kw) and crop last.",
            "The value y[n, o, q] writes to the rows o·s … o·s + kh − 1 and the columns q·s … q·s + kw − 1.",
            "With all images at once: x[:, o*s + i, q*s + j] += y[:, o, q] @ weight[i, j].T",
        ),
    ),
    Exercise(
        "09_matrix",
        "The matrix of a convolution, and its transpose",
        "Write a 1-d convolution as a matrix W, and the transposed convolution as its transpose. The second function "
        "may call the first.",
        (convolution_matrix, scatter),
        _matrix_cases,
        (
            Mistake(
                "Yours ignores the padding; the window of output o begins at o·s − p.",
                {"convolution_matrix": _no_shift},
            ),
            Mistake(
                "Yours has columns for the padding; W has a column for every element of x and no other.",
                {"convolution_matrix": _padding_as_columns},
            ),
            Mistake(
                "Your windows move by 1; the window of output o begins at o times the stride.",
                {"convolution_matrix": _unit_steps},
            ),
            Mistake(
                "Yours writes the kernel backwards; a convolution does not flip it.",
                {"convolution_matrix": lambda kernel, size, s, p: convolution_matrix(kernel[::-1], size, s, p)},
            ),
            Mistake(
                "Yours writes the kernel backwards; the transpose of W holds it in its own order, down the columns.",
                {"scatter": lambda y, kernel, size, s, p: scatter(y, kernel[::-1], size, s, p)},
            ),
            Mistake(
                "Yours inverts the convolution; a transposed convolution is the transpose of W, not its inverse.",
                {"scatter": lambda y, kernel, size, s, p: np.linalg.pinv(convolution_matrix(kernel, size, s, p)) @ y},
            ),
        ),
        (
            "Row o holds the kernel; it begins at column o·s − p. Leave out columns below 0 and from ``size`` on.",
            "matrix.T is the transpose; @ multiplies a matrix by a vector.",
        ),
    ),
    Exercise(
        "09_size",
        "The size of a transposed convolution's output",
        "Count the rows, and choose the output padding that undoes a convolution's rounding.",
        (transposed_size, output_padding_of),
        _size_cases,
        (
            Mistake(
                "Yours adds the padding; a transposed convolution removes it from both ends.",
                {"transposed_size": lambda size, k, s, p, extra: (size - 1) * s + k + 2 * p + extra},
            ),
            Mistake(
                "Yours multiplies all rows by the stride; between n copies there are n − 1 steps.",
                {"transposed_size": lambda size, k, s, p, extra: size * s + k - 2 * p + extra},
            ),
            Mistake(
                "Yours crops the padding at one end only; it is cropped at both.",
                {"transposed_size": lambda size, k, s, p, extra: (size - 1) * s + k - p + extra},
            ),
            Mistake(
                "Yours counts the output padding twice; its rows are added at the bottom only.",
                {"transposed_size": lambda size, k, s, p, extra: (size - 1) * s + k - 2 * p + 2 * extra},
            ),
            Mistake(
                "Yours is the remainder of large by the stride; kernel and padding count too.",
                {"output_padding_of": lambda large, k, s, p: large % s},
            ),
            Mistake(
                "Yours is always stride − 1; it depends on the rows that the convolution does not reach.",
                {"output_padding_of": lambda large, k, s, p: s - 1},
            ),
        ),
        (
            "Draw two copies of a kernel of 3 at stride 2. How many rows do they cover?",
            "The convolution's windows do not reach the last (large + 2p − k) mod s rows.",
        ),
    ),
)
