"""Exercises of lesson 3: convolution by loops."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake


def output_size(size: int, k: int, stride: int, padding: int) -> int:
    """Return the number of positions of a kernel of size k on a row of ``size`` pixels, padded on both sides."""
    return (size + 2 * padding - k) // stride + 1


def convolve(x: Array, weight: Array, stride: int, padding: int) -> Array:
    """Return the convolution of x (n, h, w, a) with weight (kh, kw, a, b), by loops: (n, oh, ow, b).

    The kernel is not flipped, and pixels outside the map count as 0:

        y[n, o, q, b] = Σ over i, j, a of x[n, o·s + i − p, q·s + j − p, a] · weight[i, j, a, b]
    """
    n, h, w, a = x.shape
    kh, kw, _, b = weight.shape
    padded = np.zeros((n, h + 2 * padding, w + 2 * padding, a))
    padded[:, padding : padding + h, padding : padding + w] = x
    y = np.zeros((n, output_size(h, kh, stride, padding), output_size(w, kw, stride, padding), b))
    for image, o, q, out in np.ndindex(*y.shape):
        window = padded[image, o * stride : o * stride + kh, q * stride : q * stride + kw]
        y[image, o, q, out] = (window * weight[:, :, :, out]).sum()
    return y


def receptive_field(kernels: list[int], strides: list[int]) -> int:
    """Return how many pixels, in one direction, a value after these layers depends on.

    Every layer with kernel k adds (k − 1) times the product of all earlier strides.
    """
    field, step = 1, 1
    for k, stride in zip(kernels, strides, strict=True):
        field += (k - 1) * step
        step *= stride
    return field


def _size_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("output_size", (10, 3, 1, 1), "the case by hand")
    yield Case("output_size", (10, 5, 2, 2), "stride 2")
    yield Case("output_size", (11, 3, 2, 0), "a size that stride 2 does not divide")
    yield Case("output_size", (6, 1, 1, 0), "a kernel of 1")
    yield Case("output_size", (8, 4, 3, 1), "stride 3")


def _convolution_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.arange(1.0, 17).reshape(1, 4, 4, 1)
    yield Case("convolve", (hand, np.array([[0.0, 1], [2, 3]]).reshape(2, 2, 1, 1), 1, 0), "the case by hand")
    yield Case("convolve", (rng.standard_normal((1, 5, 6, 2)), rng.standard_normal((3, 3, 2, 3)), 1, 0), "two channels")
    yield Case("convolve", (rng.standard_normal((3, 4, 5, 2)), rng.standard_normal((3, 2, 2, 4)), 1, 0), "three images")
    yield Case("convolve", (rng.standard_normal((1, 5, 4, 1)), rng.standard_normal((3, 3, 1, 1)), 1, 1), "padding 1")
    yield Case("convolve", (rng.standard_normal((1, 7, 6, 1)), rng.standard_normal((3, 3, 1, 2)), 2, 1), "stride 2")


def _field_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("receptive_field", ([3, 3], [1, 1]), "the case by hand, two 3×3 convolutions")
    yield Case("receptive_field", ([3, 2, 3, 2], [1, 2, 1, 2]), "convolutions and pools in turn")
    yield Case("receptive_field", ([7], [2]), "one 7×7 layer")
    yield Case("receptive_field", ([5, 3, 1, 4], [3, 1, 2, 2]), "several strides")


def _flipped(x: Array, weight: Array, stride: int, padding: int) -> Array:
    return convolve(x, weight[::-1, ::-1], stride, padding)


def _first_image(x: Array, weight: Array, stride: int, padding: int) -> Array:
    y = convolve(x, weight, stride, padding)
    return np.repeat(y[:1], len(x), axis=0)


def _no_stride(x: Array, weight: Array, stride: int, padding: int) -> Array:
    y = convolve(x, weight, stride, padding)
    dense = convolve(x, weight, 1, padding)
    return dense[:, : y.shape[1], : y.shape[2]]


def _one_side(x: Array, weight: Array, stride: int, padding: int) -> Array:
    shifted = np.pad(x, ((0, 0), (0, 2 * padding), (0, 2 * padding), (0, 0)))
    return convolve(shifted, weight, stride, 0)


def _one_channel(x: Array, weight: Array, stride: int, padding: int) -> Array:
    return convolve(x[..., :1], weight[:, :, :1], stride, padding)


def _field_with_own_stride(kernels: list[int], strides: list[int]) -> int:
    field, step = 1, 1
    for k, stride in zip(kernels, strides, strict=True):
        step *= stride
        field += (k - 1) * step
    return field


EXERCISES = (
    Exercise(
        "03_output_size",
        "The size of a convolution's output",
        "Count the positions of a kernel: it starts at the padded border and moves by the stride while it fits.",
        (output_size,),
        _size_cases,
        (
            Mistake(
                "Yours adds the padding on one side only; it is on both.",
                {"output_size": lambda size, k, stride, padding: (size + padding - k) // stride + 1},
            ),
            Mistake(
                "Yours forgets the first position: n steps of the stride make n + 1 positions.",
                {"output_size": lambda size, k, stride, padding: (size + 2 * padding - k) // stride},
            ),
            Mistake(
                "Yours rounds up; a last window that does not fit is dropped.",
                {"output_size": lambda size, k, stride, padding: -(-(size + 2 * padding - k) // stride) + 1},
            ),
        ),
        ("Write down the positions for a row of 7 pixels, k = 3, stride 2.",),
    ),
    Exercise(
        "03_loops",
        "Convolution by loops",
        "Write the sum of the formula with loops. The stride moves the window, the padding adds a border of zeros.",
        (convolve,),
        _convolution_cases,
        (
            Mistake("Yours flips the kernel, as mathematicians do; here it is not flipped.", {"convolve": _flipped}),
            Mistake(
                "Yours is right only for batch 1: every image gets the first one's result.", {"convolve": _first_image}
            ),
            Mistake("Yours moves the window by 1 instead of by the stride.", {"convolve": _no_stride}),
            Mistake(
                "Yours pads below and to the right only; the padding is on all four sides.", {"convolve": _one_side}
            ),
            Mistake("Yours uses the first input channel only; the sum runs over all.", {"convolve": _one_channel}),
        ),
        (
            "Make a padded copy first: np.pad(x, ((0, 0), (p, p), (p, p), (0, 0))).",
            "One result is (padded[n, o*s : o*s + kh, q*s : q*s + kw] * weight[:, :, :, b]).sum().",
        ),
    ),
    Exercise(
        "03_receptive_field",
        "The receptive field of stacked layers",
        "A value of the last map depends on a window of the image. Its size follows from kernels and strides alone.",
        (receptive_field,),
        _field_cases,
        (
            Mistake(
                "Yours ignores the strides: after a stride of 2, neighbours are 2 pixels apart.",
                {"receptive_field": lambda kernels, strides: 1 + sum(k - 1 for k in kernels)},
            ),
            Mistake(
                "Yours multiplies a layer by its own stride; only earlier strides count.",
                {"receptive_field": _field_with_own_stride},
            ),
            Mistake(
                "Yours multiplies the kernels; each layer adds (k − 1) steps.",
                {"receptive_field": lambda kernels, strides: int(np.prod(kernels))},
            ),
        ),
        ("Start with 1 pixel and a step of 1. What does a 3×3 layer add? What does a pool do to the step?",),
    ),
)
