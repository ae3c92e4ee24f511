"""Exercises of lesson 10: overlap of the copies, and the bilinear kernel."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake


def overlap_counts(size: tuple[int, int], k: tuple[int, int], stride: int, padding: int) -> Array:
    """Return how many copies of the kernel cover each output of a transposed convolution.

    The input has size (h, w), the kernel k = (kh, kw). Neighbouring copies begin ``stride`` pixels apart; then
    ``padding`` rows and columns are cropped on every side. The result has the size of the output:

        ((h − 1)·s + kh − 2·p, (w − 1)·s + kw − 2·p)
    """
    (h, w), (kh, kw) = size, k
    counts = np.zeros(((h - 1) * stride + kh, (w - 1) * stride + kw), np.int64)
    for o, q in np.ndindex(h, w):
        counts[o * stride : o * stride + kh, q * stride : q * stride + kw] += 1
    return counts[padding : counts.shape[0] - padding, padding : counts.shape[1] - padding]


def phase_sums(kernel: Array, stride: int) -> Array:
    """Return the sum of the elements of kernel (kh, kw) for every phase of the output: (stride, stride).

    On a constant map, an output (o, q) is the map's value times the sum of the elements of its phase:

        sums[o mod s, q mod s] = Σ of kernel[i, j] over all i, j with i mod s = o mod s and j mod s = q mod s
    """
    sums = np.zeros((stride, stride))
    for i, j in np.ndindex(*kernel.shape):
        sums[i % stride, j % stride] += kernel[i, j]
    return sums


def bilinear_kernel(factor: int) -> Array:
    """Return the kernel (k, k) of a transposed convolution that enlarges by ``factor`` bilinearly.

    k is 2f for an even factor f and 2f − 1 for an odd one. The kernel is the product of a column t and a row t, a tent:

        t[i] = 1 − |i − centre| / f,    centre = (k − 1) / 2
    """
    k = 2 * factor - factor % 2
    t = 1 - np.abs(np.arange(k) - (k - 1) / 2) / factor
    return np.outer(t, t)


def bilinear_weight(channels: int, factor: int) -> Array:
    """Return the weight (k, k, channels, channels) in which every channel is enlarged by itself.

    The bilinear kernel is between each channel and itself; between different channels there are zeros.
    """
    kernel = bilinear_kernel(factor)
    weight = np.zeros((*kernel.shape, channels, channels))
    for channel in range(channels):
        weight[:, :, channel, channel] = kernel
    return weight


def _count_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("overlap_counts", ((1, 4), (1, 3), 2, 0), "the case by hand, one row")
    yield Case("overlap_counts", ((4, 3), (3, 3), 2, 0), "a kernel of 3 at stride 2")
    yield Case("overlap_counts", ((3, 4), (4, 4), 2, 1), "padding 1")
    yield Case("overlap_counts", ((3, 2), (5, 4), 3, 0), "stride 3")
    yield Case("overlap_counts", ((3, 5), (2, 3), 1, 0), "stride 1")
    yield Case("overlap_counts", ((2, 3), (2, 2), 3, 0), "a stride larger than the kernel")


def _phase_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("phase_sums", (np.ones((3, 3)), 2), "the case by hand, nine ones")
    yield Case("phase_sums", (rng.standard_normal((4, 6)), 2), "a kernel of 4×6")
    yield Case("phase_sums", (rng.standard_normal((5, 4)), 3), "stride 3")
    yield Case("phase_sums", (rng.standard_normal((2, 3)), 4), "a stride larger than the kernel")


def _kernel_cases(rng: np.random.Generator) -> Iterator[Case]:
    for factor, words in ((2, "the case by hand, factor 2"), (3, "factor 3"), (4, "factor 4"), (5, "factor 5")):
        yield Case("bilinear_kernel", (factor,), words)
    yield Case("bilinear_weight", (2, 2), "the case by hand, two channels")
    yield Case("bilinear_weight", (3, 3), "three channels, factor 3")
    yield Case("bilinear_weight", (1, 4), "one channel, factor 4")


def _cropped_once(size: tuple[int, int], k: tuple[int, int], stride: int, padding: int) -> Array:
    counts = overlap_counts(size, k, stride, 0)
    return counts[: counts.shape[0] - 2 * padding, : counts.shape[1] - 2 * padding]


def _added_counts(size: tuple[int, int], k: tuple[int, int], stride: int, padding: int) -> Array:
    rows = overlap_counts((size[0], 1), (k[0], 1), stride, 0)
    columns = overlap_counts((1, size[1]), (1, k[1]), stride, 0)
    counts = rows + columns
    return counts[padding : counts.shape[0] - padding, padding : counts.shape[1] - padding]


def _side_by_side(size: tuple[int, int], k: tuple[int, int], stride: int, padding: int) -> Array:
    counts = np.zeros_like(overlap_counts(size, k, stride, padding))
    dense = overlap_counts(size, k, 1, padding)
    counts[: dense.shape[0], : dense.shape[1]] = dense
    return counts


def _blocks(kernel: Array, stride: int) -> Array:
    rows, columns = (-(-n // stride) for n in kernel.shape)
    sums = np.zeros((stride, stride))
    for i, j in np.ndindex(*kernel.shape):
        sums[i // rows, j // columns] += kernel[i, j]
    return sums


def _phase_means(kernel: Array, stride: int) -> Array:
    with np.errstate(all="ignore"):
        return phase_sums(kernel, stride) / phase_sums(np.ones_like(kernel), stride)


def _tent(k: int, factor: int, centre: float) -> Array:
    t = 1 - np.abs(np.arange(k) - centre) / factor
    return np.outer(t, t)


def _everywhere(channels: int, factor: int) -> Array:
    kernel = bilinear_kernel(factor)
    return np.broadcast_to(kernel[:, :, None, None], (*kernel.shape, channels, channels)).copy()


EXERCISES = (
    Exercise(
        "10_overlap",
        "How many copies cover an output",
        "The copies of a kernel overlap evenly only if the stride divides the kernel's size. Count the copies at every "
        "output.",
        (overlap_counts,),
        _count_cases,
        (
            Mistake(
                "Yours crops at the bottom and on the right only; the padding is cropped on every side.",
                {"overlap_counts": _cropped_once},
            ),
            Mistake(
                "Yours adds the counts of rows and columns; the counts of the two directions multiply.",
                {"overlap_counts": _added_counts},
            ),
            Mistake(
                "Your copies begin 1 pixel apart; neighbouring ones begin ``stride`` pixels apart.",
                {"overlap_counts": _side_by_side},
            ),
            Mistake(
                "Yours says whether a copy covers an output; count how many there are.",
                {"overlap_counts": lambda *given: np.minimum(overlap_counts(*given), 1)},
            ),
        ),
        (
            "Start with zeros and add 1 to the rectangle of every copy.",
            "The copy of input (o, q) covers rows o·s … o·s + kh − 1. Crop last.",
        ),
    ),
    Exercise(
        "10_phases",
        "The phase sums of a kernel",
        "An output sees only the kernel elements of its own phase. If all phases have the same sum, a constant map "
        "stays constant; if not, there is a chessboard.",
        (phase_sums,),
        _phase_cases,
        (
            Mistake(
                "Yours sums blocks of neighbouring elements; the elements of a phase are ``stride`` apart.",
                {"phase_sums": _blocks},
            ),
            Mistake("Yours takes the mean of every phase; the output is their sum.", {"phase_sums": _phase_means}),
            Mistake(
                "Yours exchanges rows and columns; the first axis of the result is the phase of the rows.",
                {"phase_sums": lambda kernel, stride: phase_sums(kernel, stride).T},
            ),
            Mistake(
                "Yours flips the kernel; element i contributes to the phase i mod s.",
                {"phase_sums": lambda kernel, stride: phase_sums(kernel[::-1, ::-1], stride)},
            ),
        ),
        ("kernel[i::s, j::s] holds the elements of one phase.",),
    ),
    Exercise(
        "10_tent",
        "The bilinear kernel for any factor",
        "Write the tent with which FCN initialises its upsampling, for even and odd factors, and the weight of a layer "
        "that enlarges every channel by itself. The second function may call the first.",
        (bilinear_kernel, bilinear_weight),
        _kernel_cases,
        (
            Mistake(
                "Your kernel always has 2f elements; for an odd factor it has 2f − 1.",
                {"bilinear_kernel": lambda f: _tent(2 * f, f, f - 0.5)},
            ),
            Mistake(
                "Your centre is k // 2; the centre of k elements is (k − 1)/2, between two elements if k is even.",
                {"bilinear_kernel": lambda f: _tent(2 * f - f % 2, f, (2 * f - f % 2) // 2)},
            ),
            Mistake(
                "Yours divides the kernel by its sum; the elements of each *phase* sum to 1, all of them to f².",
                {"bilinear_kernel": lambda f: bilinear_kernel(f) / bilinear_kernel(f).sum()},
            ),
            Mistake(
                "Your tent falls by 1/k per element; it must fall by 1/f, to 0 at the next pixel.",
                {"bilinear_kernel": lambda f: _tent(2 * f - f % 2, 2 * f - f % 2, (2 * f - f % 2 - 1) / 2)},
            ),
            Mistake(
                "Yours connects all channels; between different channels there are zeros.",
                {"bilinear_weight": _everywhere},
            ),
            Mistake(
                "Yours divides the kernel by the number of channels; every channel is enlarged alone.",
                {"bilinear_weight": lambda channels, f: bilinear_weight(channels, f) / channels},
            ),
        ),
        (
            "For factor 2 the tent is 0.25, 0.75, 0.75, 0.25; for factor 3 it is 1/3, 2/3, 1, 2/3, 1/3.",
            "np.outer(t, t) is the product of a column and a row.",
        ),
    ),
)
