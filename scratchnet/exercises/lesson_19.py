"""Exercises of lesson 19: three ways back through ReLU, the way back through a pool, and occlusion."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake

METHODS = ("gradient", "deconvnet", "guided")


def relu_back(g: Array, y: Array, method: str) -> Array:
    """Return what ReLU passes on of the signal g that arrives on the way back; y, of the same shape, is its output.

    "gradient"   g where y > 0, else 0
    "deconvnet"  max(g, 0), whatever y is
    "guided"     max(g, 0) where y > 0, else 0
    """
    passed = g if method == "gradient" else np.maximum(g, 0)
    on = np.ones(y.shape, bool) if method == "deconvnet" else y > 0
    return np.where(on, passed, 0.0)


def way_back(signal: Array, switches: Array, y: Array, kernel: Array, method: str) -> Array:
    """Lead a signal (h, w) back through a 2×2 max-pool, a ReLU and a convolution; return the image's signal.

    On the way forward, a convolution without padding with ``kernel`` (k, k) at stride 1 (the kernel is not flipped)
    made a map, ReLU made y (2h, 2w) of it, and the pool chose from every 2×2 window the position 2 · row + column that
    is in ``switches`` (h, w).

    1. unpool: put every value of the signal at its switch, zeros elsewhere;
    2. ReLU, by "gradient" (pass where y > 0), "deconvnet" (pass what is positive) or "guided" (both);
    3. the transposed convolution: for every element add its product with the kernel to the image (2h+k−1, 2w+k−1).
    """
    large = np.zeros(y.shape)
    for o, q in np.ndindex(*signal.shape):
        i, j = divmod(int(switches[o, q]), 2)
        large[2 * o + i, 2 * q + j] = signal[o, q]
    if method != "gradient":
        large = np.maximum(large, 0)
    if method != "deconvnet":
        large = np.where(y > 0, large, 0)
    k = len(kernel)
    image = np.zeros((y.shape[0] + k - 1, y.shape[1] + k - 1))
    for row, column in np.ndindex(*large.shape):
        image[row : row + k, column : column + k] += large[row, column] * kernel
    return image


def occlusion_map(x: Array, weight: Array, side: int, stride: int, colour: float) -> Array:
    """Return how much a score falls where the image x (h, w) is covered, on average.

    The score of an image is Σ max(weight · x, 0), with one weight (h, w) for every pixel. A square of side × side
    pixels begins at the rows 0, stride, 2·stride, … below h and at the columns 0, stride, 2·stride, … below w; what
    reaches out of the image is cut off. Each square alone covers the original image with ``colour``. A pixel's value is
    the mean, over the squares that cover it, of

        score of the original − score of the covered image
    """
    total, count = np.zeros(x.shape), np.zeros(x.shape)
    for top in range(0, x.shape[0], stride):
        for left in range(0, x.shape[1], stride):
            square = slice(top, top + side), slice(left, left + side)
            covered = x.copy()
            covered[square] = colour
            total[square] += _score(x, weight) - _score(covered, weight)
            count[square] += 1
    mean: Array = total / count
    return mean


def _score(x: Array, weight: Array) -> float:
    return float(np.maximum(weight * x, 0).sum())


def _rule_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.array([3.0, 4, -5, -6]), np.array([2.0, 0, 1, 0])
    for method in METHODS:
        yield Case("relu_back", (*hand, method), f"the case by hand, {method}")
        y = np.maximum(rng.standard_normal((2, 3, 5, 4)), 0)
        yield Case("relu_back", (rng.standard_normal(y.shape), y, method), f"two images, {method}")


def _back_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.array([[2.0, -1.0]]), np.array([[1, 2]])
    y, kernel = np.array([[1.0, 3, 0, 0], [0, 2, 4, 1]]), np.array([[1.0, 2], [3, -1]])
    for method in METHODS:
        yield Case("way_back", (*hand, y, kernel, method), f"the case by hand, {method}")
        signal, switches = rng.standard_normal((3, 4)), rng.integers(0, 4, (3, 4))
        below = np.maximum(rng.standard_normal((6, 8)), 0)
        yield Case("way_back", (signal, switches, below, rng.standard_normal((3, 3)), method), f"3×4 places, {method}")


def _occlusion_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("occlusion_map", (np.array([[5.0, 3, 4]]), np.array([[0.0, 1, 2]]), 1, 1, 0.0), "the case by hand")
    for size, side, stride, text in (
        ((4, 6), 2, 2, "squares side by side"),
        ((5, 7), 3, 2, "overlapping squares, cut off at the edges"),
        ((6, 5), 4, 1, "squares of 4×4 at every pixel"),
    ):
        yield Case("occlusion_map", (rng.standard_normal(size), rng.standard_normal(size), side, stride, 0.3), text)


def _exchanged(g: Array, y: Array, method: str) -> Array:
    return relu_back(g, y, {"gradient": "deconvnet", "deconvnet": "gradient"}.get(method, method))


def _always_masked(g: Array, y: Array, method: str) -> Array:
    return relu_back(g, y, "guided" if method == "deconvnet" else method)


def _never_rectified(g: Array, y: Array, method: str) -> Array:
    return relu_back(g, y, "gradient" if method == "guided" else method)


def _magnitude(g: Array, y: Array, method: str) -> Array:
    return relu_back(g if method == "gradient" else np.abs(g), y, method)


def _flipped(signal: Array, switches: Array, y: Array, kernel: Array, method: str) -> Array:
    return way_back(signal, switches, y, kernel[::-1, ::-1], method)


def _exchanged_switch(signal: Array, switches: Array, y: Array, kernel: Array, method: str) -> Array:
    return way_back(signal, switches % 2 * 2 + switches // 2, y, kernel, method)


def _spread(signal: Array, switches: Array, y: Array, kernel: Array, method: str) -> Array:
    parts = [way_back(signal, np.full_like(switches, place), y, kernel, method) for place in range(4)]
    total: Array = np.sum(parts, axis=0)
    return total


def _late_relu(signal: Array, switches: Array, y: Array, kernel: Array, method: str) -> Array:
    plain = way_back(signal, switches, y, kernel, "gradient" if method == "guided" else method)
    return plain if method == "gradient" else np.maximum(plain, 0)


def _rising(x: Array, weight: Array, side: int, stride: int, colour: float) -> Array:
    return -occlusion_map(x, weight, side, stride, colour)


def _black(x: Array, weight: Array, side: int, stride: int, colour: float) -> Array:
    return occlusion_map(x, weight, side, stride, 0.0)


def _summed(x: Array, weight: Array, side: int, stride: int, colour: float) -> Array:
    count = np.zeros(x.shape)
    for top, left in np.ndindex(-(-x.shape[0] // stride), -(-x.shape[1] // stride)):
        count[top * stride : top * stride + side, left * stride : left * stride + side] += 1
    return occlusion_map(x, weight, side, stride, colour) * count


def _never_restored(x: Array, weight: Array, side: int, stride: int, colour: float) -> Array:
    total, count, covered = np.zeros(x.shape), np.zeros(x.shape), x.copy()
    for top in range(0, x.shape[0], stride):
        for left in range(0, x.shape[1], stride):
            square = slice(top, top + side), slice(left, left + side)
            covered[square] = colour
            total[square] += _score(x, weight) - _score(covered, weight)
            count[square] += 1
    mean: Array = total / count
    return mean


EXERCISES = (
    Exercise(
        "19_relu_rules",
        "Three ways back through ReLU",
        "The gradient, the deconvnet projection and guided backpropagation differ in what ReLU passes on.",
        (relu_back,),
        _rule_cases,
        (
            Mistake(
                "Yours exchanges two rules: the gradient looks at y, the deconvnet at g.", {"relu_back": _exchanged}
            ),
            Mistake(
                "Your deconvnet also looks at y; it passes every positive signal, wherever the output was.",
                {"relu_back": _always_masked},
            ),
            Mistake(
                "Your guided backpropagation passes negative signals; it drops them, as the deconvnet does.",
                {"relu_back": _never_rectified},
            ),
            Mistake("Yours takes magnitudes; max(g, 0) drops negative signals.", {"relu_back": _magnitude}),
        ),
        (
            "np.where(condition, g, 0) keeps g where the condition holds.",
            "Two of the rules begin with np.maximum(g, 0).",
        ),
    ),
    Exercise(
        "19_way_back",
        "From a pooled map back to the image",
        "Unpool, rectify, filter: lead a signal back through a pool, a ReLU and a convolution.",
        (way_back,),
        _back_cases,
        (
            Mistake(
                "Yours flips the kernel; the transpose adds copies of the kernel as it is.", {"way_back": _flipped}
            ),
            Mistake(
                "Yours reads the switch as 2 · column + row; it is 2 · row + column.", {"way_back": _exchanged_switch}
            ),
            Mistake("Yours copies the signal to the whole window; it goes to the switch.", {"way_back": _spread}),
            Mistake(
                "Yours rectifies the image; the signal passes ReLU before it passes the convolution.",
                {"way_back": _late_relu},
            ),
        ),
        (
            "Write three loops, one for each step, and print the map between them.",
            "Step 3 is the transposed convolution of lesson 9.",
        ),
    ),
    Exercise(
        "19_occlusion",
        "Occlusion",
        "Cover the image square by square and see how far a score falls.",
        (occlusion_map,),
        _occlusion_cases,
        (
            Mistake("Your sign is wrong; a score that falls counts as positive.", {"occlusion_map": _rising}),
            Mistake("Yours covers with 0; cover with the given colour.", {"occlusion_map": _black}),
            Mistake(
                "Yours adds up the falls of all squares; a pixel's value is their mean.", {"occlusion_map": _summed}
            ),
            Mistake(
                "Yours covers more and more of the image; each square alone covers the original.",
                {"occlusion_map": _never_restored},
            ),
        ),
        ("Keep two maps: the sum of the falls, and how many squares covered each pixel.",),
    ),
)
