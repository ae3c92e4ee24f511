"""Exercises of lesson 13: from a classifier to a fully convolutional network, and Adam."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake
from scratchnet.exercises.networks import network_answer, rewired
from scratchnet.layers import Add, BilinearTranspose2d, Concatenate, Conv2d, Crop, MaxPool2d
from scratchnet.network import Network


def dense_to_kernel(dense: Array, h: int, w: int) -> Array:
    """Return the kernel (h, w, c, b) of the convolution that equals a fully connected layer.

    The layer flattens a map (h, w, c) in C order, the last axis fastest, and multiplies it by dense (h·w·c, b):

        scores = map.reshape(-1) @ dense
    """
    return dense.reshape(h, w, -1, dense.shape[1])


def slide_dense(x: Array, dense: Array, h: int, w: int) -> Array:
    """Return the scores (H − h + 1, W − w + 1, b) of the layer for every window (h, w) of a larger map x (H, W, c).

    scores[o, q] = x[o : o + h, q : q + w].reshape(-1) @ dense
    """
    rows, columns = x.shape[0] - h + 1, x.shape[1] - w + 1
    scores = np.zeros((rows, columns, dense.shape[1]))
    for o, q in np.ndindex(rows, columns):
        scores[o, q] = x[o : o + h, q : q + w].reshape(-1) @ dense
    return scores


def stitch(maps: Array) -> Array:
    """Return one map (s·h, s·w, c) from the maps (s, s, h, w, c) of shifted images.

    A network with stride s has scores for every s-th pixel. maps[i, j] are its scores for the image without the first i
    rows and j columns, so they belong to the pixels (i, j), (i, j + s), …:

        y[s·o + i, s·q + j] = maps[i, j, o, q]
    """
    s, _, h, w, c = maps.shape
    y = np.zeros((s * h, s * w, c))
    for i, j in np.ndindex(s, s):
        y[i::s, j::s] = maps[i, j]
    return y


def fcn_head(channels: int, classes: int) -> Network:
    """Return a Network: the head of an FCN with one skip. Its parameters are not allocated.

    The input is a map of features, one for every 8 pixels of the image, with ``channels`` channels. Steps, in order:

        pool       max-pooling 2×2 of "input"
        score16    a 1×1 convolution to the classes
        up16       BilinearTranspose2d, twofold
        score8     a 1×1 convolution of "input" to the classes
        crop       up16 at the positions of score8; up16 has one row and column too many on every side
        sum        crop plus score8
        up8        BilinearTranspose2d, eightfold
    """
    net = Network(channels)
    net.add("pool", MaxPool2d(2))
    net.add("score16", Conv2d(channels, classes, 1))
    net.add("up16", BilinearTranspose2d(2))
    net.add("score8", Conv2d(channels, classes, 1), "input")
    net.add("crop", Crop(1), "up16", "score8")
    net.add("sum", Add(), "crop", "score8")
    net.add("up8", BilinearTranspose2d(8))
    return net


def adam(weights: Array, gradients: Array, rate: float) -> Array:
    """Return the weights (n,) after one update of Adam with each of the gradients (t, n).

    m and v start with zeros. In update number t = 1, 2, …, with β₁ = 0.9, β₂ = 0.999 and ε = 1e-8:

        m ← β₁·m + (1 − β₁)·gradient
        v ← β₂·v + (1 − β₂)·gradient²
        weights ← weights − rate · m̂ / (√v̂ + ε),    m̂ = m / (1 − β₁ᵗ),    v̂ = v / (1 − β₂ᵗ)
    """
    m = v = np.zeros_like(weights)
    for t, gradient in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        weights = weights - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return weights


def _dense_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.arange(8.0).reshape(8, 1)
    yield Case("dense_to_kernel", (hand, 2, 2), "the case by hand")
    yield Case("dense_to_kernel", (rng.standard_normal((24, 5)), 2, 3), "a map of 2×3×4")
    yield Case("dense_to_kernel", (rng.standard_normal((12, 3)), 4, 3), "one channel")
    yield Case("slide_dense", (np.arange(12.0).reshape(3, 2, 2), hand, 2, 2), "the case by hand")
    yield Case("slide_dense", (rng.standard_normal((5, 7, 4)), rng.standard_normal((24, 5)), 2, 3), "windows of 2×3×4")
    yield Case("slide_dense", (rng.standard_normal((4, 3, 1)), rng.standard_normal((12, 3)), 4, 3), "a single window")


def _stitch_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("stitch", (np.arange(4.0).reshape(2, 2, 1, 1, 1),), "the case by hand, a pixel of each map")
    yield Case("stitch", (rng.standard_normal((2, 2, 3, 4, 2)),), "stride 2")
    yield Case("stitch", (rng.standard_normal((3, 3, 2, 4, 1)),), "stride 3")


def _head_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("fcn_head", (rng.standard_normal((1, 4, 4, 2)), 2, 2), "features of 4×4")
    yield Case("fcn_head", (rng.standard_normal((2, 4, 6, 5)), 5, 3), "two maps of 4×6, five channels")
    yield Case("fcn_head", (rng.standard_normal((1, 5, 7, 3)), 3, 2), "an odd size")


def _adam_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("adam", (np.zeros(3), np.array([[100.0, 1, -0.01]]), 0.5), "the case by hand, one update")
    yield Case("adam", (rng.standard_normal(4), rng.standard_normal((3, 4)), 0.01), "three updates")
    yield Case("adam", (rng.standard_normal(2), 1e-7 * rng.standard_normal((4, 2)), 1.0), "tiny gradients")
    yield Case("adam", (np.ones(2), np.zeros((2, 2)), 0.1), "gradients of 0")


def _channels_first(dense: Array, h: int, w: int) -> Array:
    return dense.reshape(-1, h, w, dense.shape[1]).transpose(1, 2, 0, 3)


def _columns_first(dense: Array, h: int, w: int) -> Array:
    return dense.reshape(w, h, -1, dense.shape[1]).transpose(1, 0, 2, 3)


def _slide(x: Array, kernel: Array) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(0, 1))
    scores: Array = np.einsum("oqcij,ijcb->oqb", windows, kernel)
    return scores


def _blocks(maps: Array) -> Array:
    s, _, h, w, c = maps.shape
    return maps.transpose(0, 2, 1, 3, 4).reshape(s * h, s * w, c)


def _adam(weights: Array, gradients: Array, rate: float, wrong: str) -> Array:
    """Update with one rule broken."""
    m = v = np.zeros_like(weights)
    for t, gradient in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * (np.abs(gradient) if wrong == "absolute" else gradient**2)
        first = m if wrong == "no correction" else m / (1 - 0.9**t)
        second = v if wrong in ("no correction", "half") else v / (1 - 0.999**t)
        root = np.sqrt(second + 1e-8) if wrong == "inside" else np.sqrt(second) + 1e-8
        weights = weights - rate * first / (second + 1e-8 if wrong == "no root" else root)
    return weights


EXERCISES = (
    Exercise(
        "13_dense",
        "A fully connected layer as a convolution",
        "A fully connected layer is a convolution whose kernel is as large as the map. Reshape its weights, and slide "
        "it over a larger map.",
        (dense_to_kernel, slide_dense),
        _dense_cases,
        (
            Mistake(
                "Yours takes the channels as the first axis; maps here are (h, w, c), and c varies fastest.",
                {
                    "dense_to_kernel": _channels_first,
                    "slide_dense": lambda x, dense, h, w: _slide(x, _channels_first(dense, h, w)),
                },
            ),
            Mistake(
                "Yours reads the map column by column; C order is row by row.",
                {
                    "dense_to_kernel": _columns_first,
                    "slide_dense": lambda x, dense, h, w: _slide(x, _columns_first(dense, h, w)),
                },
            ),
            Mistake(
                "Yours flips the kernel; a convolution here does not flip it, and neither does the layer.",
                {
                    "dense_to_kernel": lambda dense, h, w: dense_to_kernel(dense, h, w)[::-1, ::-1],
                    "slide_dense": lambda x, dense, h, w: _slide(x, dense_to_kernel(dense, h, w)[::-1, ::-1]),
                },
            ),
            Mistake(
                "Your windows do not overlap; the kernel moves by one pixel.",
                {"slide_dense": lambda x, dense, h, w: slide_dense(x, dense, h, w)[::h, ::w]},
            ),
        ),
        ("reshape keeps the order of the elements, the last axis fastest.", "-1 lets reshape compute the channels."),
    ),
    Exercise(
        "13_stitch",
        "Shift and stitch",
        "A network with stride s has a score for every s-th pixel. Run on s·s shifted images, it has a score for each. "
        "Interleave the maps.",
        (stitch,),
        _stitch_cases,
        (
            Mistake(
                "Yours puts the maps beside each other; neighbouring scores of one map are s pixels apart.",
                {"stitch": _blocks},
            ),
            Mistake(
                "Yours exchanges rows and columns; the first axis of the maps is the shift of the rows.",
                {"stitch": lambda maps: stitch(maps.swapaxes(0, 1))},
            ),
            Mistake(
                "Yours counts the shifts backwards; without its first i rows, an image begins with row i.",
                {"stitch": lambda maps: stitch(maps[::-1, ::-1])},
            ),
        ),
        ("y[i::s, j::s] is every s-th row and column, beginning at row i and column j.",),
    ),
    Exercise(
        "13_fcn_head",
        "The head of an FCN",
        "Build the list of steps that turns features into scores, with one skip: coarse scores are enlarged, cropped "
        "and added to finer ones.",
        (fcn_head,),
        _head_cases,
        (
            Mistake(
                "Yours crops the enlarged scores at the first row and column; one is too many on *every* side.",
                {"fcn_head": lambda *sizes: rewired(fcn_head(*sizes), layers={"crop": Crop(0)})},
            ),
            Mistake(
                "Yours concatenates; the skips of FCN are added.",
                {"fcn_head": lambda *sizes: rewired(fcn_head(*sizes), layers={"sum": Concatenate()})},
            ),
            Mistake(
                "Your last step enlarges the coarse scores; its input is the sum.",
                {"fcn_head": lambda *sizes: rewired(fcn_head(*sizes), {"up8": ("crop",)})},
            ),
            Mistake(
                "Your last step enlarges fourfold; one value for every 8 pixels needs the factor 8.",
                {"fcn_head": lambda *sizes: rewired(fcn_head(*sizes), layers={"up8": BilinearTranspose2d(4)})},
            ),
        ),
        (
            "net = Network(channels), then net.add(name, layer, *names of inputs); without names, the step before.",
            'net.add("crop", Crop(1), "up16", "score8") crops the first input to the size of the second.',
        ),
        results={"fcn_head": ("shapes", "output")},
        inside={"fcn_head": network_answer("fcn_head")},
        imports="from scratchnet.layers import Add, BilinearTranspose2d, Conv2d, Crop, MaxPool2d\n"
        "from scratchnet.network import Network",
    ),
    Exercise(
        "13_adam",
        "Adam with bias correction",
        "Adam divides the mean of the recent gradients by the root of the mean of their squares. Both means start at 0 "
        "and are corrected for it.",
        (adam,),
        _adam_cases,
        (
            Mistake(
                "Yours lacks the corrections for the start at 0, 1 − β₁ᵗ and 1 − β₂ᵗ.",
                {"adam": lambda w, g, rate: _adam(w, g, rate, "no correction")},
            ),
            Mistake(
                "Yours corrects the mean of the gradients, but not the mean of their squares.",
                {"adam": lambda w, g, rate: _adam(w, g, rate, "half")},
            ),
            Mistake(
                "Yours adds ε inside the root; it is added to the root.",
                {"adam": lambda w, g, rate: _adam(w, g, rate, "inside")},
            ),
            Mistake(
                "Yours divides by v̂; divide by its root, which has the unit of a gradient.",
                {"adam": lambda w, g, rate: _adam(w, g, rate, "no root")},
            ),
            Mistake(
                "Yours averages the absolute gradients; v is the mean of their squares.",
                {"adam": lambda w, g, rate: _adam(w, g, rate, "absolute")},
            ),
        ),
        ("After one update m̂ is the gradient and v̂ its square: the step is the learning rate.",),
    ),
)
