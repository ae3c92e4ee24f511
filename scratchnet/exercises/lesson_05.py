"""Exercises of lesson 5: the three gradients of a convolution."""

from collections.abc import Callable, Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, GradientCheck, Mistake


def bias_gradient(dy: Array) -> Array:
    """Return dbias (b,) from dy (n, oh, ow, b): the bias is added at every position of every image."""
    dbias: Array = dy.sum(axis=(0, 1, 2))
    return dbias


def weight_gradient(dy: Array, x: Array, kh: int, kw: int, stride: int, padding: int) -> Array:
    """Return dweight (kh, kw, a, b) from dy (n, oh, ow, b) and x (n, h, w, a): a sum of windows times slopes.

    dweight[i, j, a, b] = Σ over n, o, q of padded[n, o·stride + i, q·stride + j, a] · dy[n, o, q, b]
    """
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    dweight = np.zeros((kh, kw, x.shape[3], dy.shape[3]))
    for n, o, q, b in np.ndindex(*dy.shape):
        top, left = o * stride, q * stride
        dweight[:, :, :, b] += padded[n, top : top + kh, left : left + kw] * dy[n, o, q, b]
    return dweight


def input_gradient(dy: Array, weight: Array, h: int, w: int, stride: int, padding: int) -> Array:
    """Return dx (n, h, w, a) from dy (n, oh, ow, b) and weight (kh, kw, a, b): a sum of kernels times slopes.

    Every slope adds its kernel to the window that the output was computed from. Overlapping kernels add up, a pixel
    that is in no window has slope 0, and the gradient of the padding is dropped:

        dpadded[n, o·stride + i, q·stride + j, a] += Σ over b of dy[n, o, q, b] · weight[i, j, a, b]
    """
    kh, kw, a, _ = weight.shape
    dpadded = np.zeros((len(dy), h + 2 * padding, w + 2 * padding, a))
    for n, o, q, b in np.ndindex(*dy.shape):
        top, left = o * stride, q * stride
        dpadded[n, top : top + kh, left : left + kw] += weight[:, :, :, b] * dy[n, o, q, b]
    return dpadded[:, padding : padding + h, padding : padding + w]


def convolve(x: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    """Return the convolution of x (n, h, w, a) with weight (kh, kw, a, b), plus bias (b,): (n, oh, ow, b).

    y[n, o, q, b] = bias[b] + Σ over i, j, a of padded[n, o·stride + i, q·stride + j, a] · weight[i, j, a, b]
    """
    kh, kw, _, b = weight.shape
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    oh, ow = (padded.shape[1] - kh) // stride + 1, (padded.shape[2] - kw) // stride + 1
    y = np.zeros((len(x), oh, ow, b)) + bias
    for i, j in np.ndindex(kh, kw):
        y += padded[:, i : i + oh * stride : stride, j : j + ow * stride : stride] @ weight[i, j]
    return y


def convolve_backward(
    dy: Array, x: Array, weight: Array, bias: Array, stride: int, padding: int
) -> tuple[Array, Array, Array]:
    """Return dx, dweight and dbias, with the shapes of x, weight and bias, from dy (n, oh, ow, b)."""
    (_, h, w, a), (kh, kw, _, b) = x.shape, weight.shape
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    dpadded, dweight = np.zeros(padded.shape), np.zeros(weight.shape)
    oh, ow = dy.shape[1:3]
    for i, j in np.ndindex(kh, kw):
        place = np.s_[:, i : i + oh * stride : stride, j : j + ow * stride : stride]
        dweight[i, j] = padded[place].reshape(-1, a).T @ dy.reshape(-1, b)
        dpadded[place] += dy @ weight[i, j].T
    return dpadded[:, padding : padding + h, padding : padding + w], dweight, dy.sum(axis=(0, 1, 2))


HAND_X = np.arange(1.0, 10).reshape(1, 3, 3, 1)
HAND_WEIGHT = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)
HAND_DY = np.array([[1.0, 0], [0, 2]]).reshape(1, 2, 2, 1)

SETTINGS = (
    ("a 3×2 kernel", (1, 5, 4), (3, 2, 1, 1), 1, 0),
    ("several channels", (1, 4, 5), (2, 2, 3, 2), 1, 0),
    ("three images", (3, 4, 3), (2, 3, 2, 1), 1, 0),
    ("padding 1", (1, 4, 5), (3, 3, 1, 1), 1, 1),
    ("stride 2", (1, 8, 6), (3, 2, 1, 1), 2, 0),
    ("stride 2 with padding", (2, 7, 6), (3, 3, 2, 3), 2, 1),
)
"""Description, images (n, h, w), weight, stride, padding. With stride 2, the last row of 8 is in no window."""


def _data(rng: np.random.Generator) -> Iterator[tuple[str, Array, Array, Array, int, int]]:
    """Return description, dy, x, weight, stride and padding."""
    yield "the case by hand", HAND_DY, HAND_X, HAND_WEIGHT, 1, 0
    for description, (n, h, w), kernel, s, p in SETTINGS:
        oh, ow = (h + 2 * p - kernel[0]) // s + 1, (w + 2 * p - kernel[1]) // s + 1
        shapes = (n, oh, ow, kernel[3]), (n, h, w, kernel[2]), kernel
        dy, x, weight = (rng.standard_normal(shape) for shape in shapes)
        yield description, dy, x, weight, s, p


def _weight_cases(rng: np.random.Generator) -> Iterator[Case]:
    data = list(_data(rng))
    for description, dy, *_ in data:
        yield Case("bias_gradient", (dy,), description)
    for description, dy, x, weight, s, p in data:
        yield Case("weight_gradient", (dy, x, *weight.shape[:2], s, p), description)


def _input_cases(rng: np.random.Generator) -> Iterator[Case]:
    for description, dy, x, weight, s, p in _data(rng):
        yield Case("input_gradient", (dy, weight, *x.shape[1:3], s, p), description)


def _layer_cases(rng: np.random.Generator) -> Iterator[Case]:
    data = [(*row, rng.standard_normal(row[1].shape[3])) for row in _data(rng)]
    for description, _, x, weight, s, p, bias in data:
        yield Case("convolve", (x, weight, bias, s, p), description)
    for description, dy, x, weight, s, p, bias in data:
        yield Case("convolve_backward", (dy, x, weight, bias, s, p), description)


def _layer(rng: np.random.Generator) -> tuple[Array, Array, Array, int, int]:
    shapes = (2, 6, 5, 2), (3, 2, 2, 3), (3,)
    x, weight, bias = (rng.standard_normal(shape) for shape in shapes)
    return x, weight, bias, 2, 1


def _moved_by_one(dy: Array, x: Array, kh: int, kw: int, stride: int, padding: int) -> Array:
    return weight_gradient(dy, np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0))), kh, kw, 1, 0)


def _one_side(dy: Array, x: Array, kh: int, kw: int, stride: int, padding: int) -> Array:
    return weight_gradient(dy, np.pad(x, ((0, 0), (0, 2 * padding), (0, 2 * padding), (0, 0))), kh, kw, stride, 0)


def _first_image(dy: Array, x: Array, kh: int, kw: int, stride: int, padding: int) -> Array:
    return weight_gradient(dy[:1], x[:1], kh, kw, stride, padding)


def _assigned(dy: Array, weight: Array, h: int, w: int, stride: int, padding: int) -> Array:
    kh, kw, a, _ = weight.shape
    dpadded = np.zeros((len(dy), h + 2 * padding, w + 2 * padding, a))
    for o, q in np.ndindex(*dy.shape[1:3]):
        window = np.s_[:, o * stride : o * stride + kh, q * stride : q * stride + kw]
        dpadded[window] = np.einsum("nb,ijab->nija", dy[:, o, q], weight)
    return dpadded[:, padding : padding + h, padding : padding + w]


def _packed(dy: Array, weight: Array, h: int, w: int, stride: int, padding: int) -> Array:
    kh, kw, a, _ = weight.shape
    oh, ow = dy.shape[1:3]
    dpadded = np.zeros((len(dy), h + 2 * padding, w + 2 * padding, a))
    dpadded[:, : oh + kh - 1, : ow + kw - 1] = input_gradient(dy, weight, oh + kh - 1, ow + kw - 1, 1, 0)
    return dpadded[:, padding : padding + h, padding : padding + w]


def _cropped_at_the_end(dy: Array, weight: Array, h: int, w: int, stride: int, padding: int) -> Array:
    return input_gradient(dy, weight, h + 2 * padding, w + 2 * padding, stride, 0)[:, :h, :w]


def _only_reached(dy: Array, weight: Array, h: int, w: int, stride: int, padding: int) -> Array:
    reached = [(size - 1) * stride + k for size, k in zip(dy.shape[1:3], weight.shape[:2], strict=True)]
    dpadded = input_gradient(dy, weight, reached[0], reached[1], stride, 0)
    return dpadded[:, padding : padding + h, padding : padding + w]


def _changed_backward(
    dx: bool = False, bias: bool = False, order: bool = False
) -> Callable[..., tuple[Array, Array, Array]]:
    """Return a backward pass with a flipped kernel in dx, the mean for dbias, or results in another order."""

    def backward(dy: Array, x: Array, weight: Array, b: Array, s: int, p: int) -> tuple[Array, Array, Array]:
        right = convolve_backward(dy, x, weight, b, s, p)
        gradient = convolve_backward(dy, x, weight[::-1, ::-1], b, s, p)[0] if dx else right[0]
        dbias = dy.mean(axis=(0, 1, 2)) if bias else right[2]
        return (right[1], gradient, dbias) if order else (gradient, right[1], dbias)

    return backward


EXERCISES = (
    Exercise(
        "05_weight_and_bias",
        "The gradients with respect to weight and bias",
        "The slope of a product with respect to one factor is the other factor. A value of the kernel is a factor at "
        "every position of every image, so its slopes are added up.",
        (bias_gradient, weight_gradient),
        _weight_cases,
        (
            Mistake(
                "Yours takes the mean of the slopes; they are added up.",
                {"bias_gradient": lambda dy: dy.mean(axis=(0, 1, 2))},
            ),
            Mistake(
                "Yours sums over the first image only; the bias is added in every image.",
                {"bias_gradient": lambda dy: dy[0].sum(axis=(0, 1))},
            ),
            Mistake(
                "Yours sums over the channels, too; every channel has a bias of its own.",
                {"bias_gradient": lambda dy: dy.sum()},
            ),
            Mistake(
                "Yours uses the first image only; the slopes of all images are added up.",
                {"weight_gradient": _first_image},
            ),
            Mistake("Yours moves the window by 1 instead of by the stride.", {"weight_gradient": _moved_by_one}),
            Mistake(
                "Yours pads below and to the right only; the padding is on all four sides.",
                {"weight_gradient": _one_side},
            ),
            Mistake(
                "Yours flips the result: the slope of weight[i, j] belongs to row i and column j of the window.",
                {"weight_gradient": lambda dy, x, kh, kw, s, p: weight_gradient(dy, x, kh, kw, s, p)[::-1, ::-1]},
            ),
            Mistake(
                "Yours takes the mean over the images; the slopes are added up.",
                {"weight_gradient": lambda dy, x, kh, kw, s, p: weight_gradient(dy, x, kh, kw, s, p) / len(x)},
            ),
        ),
        (
            "Write the forward pass as loops. The innermost line is y[n, o, q, b] += padded[…] · weight[i, j, a, b]: "
            "which line computes the slope of the second factor?",
            "For every n, o, q and b: dweight[:, :, :, b] += window · dy[n, o, q, b].",
        ),
    ),
    Exercise(
        "05_input",
        "The gradient with respect to the image",
        "This gradient is a sum of kernels, one for every position of the output. Padding, stride and overlap are "
        "those of the forward pass.",
        (input_gradient,),
        _input_cases,
        (
            Mistake("Where windows overlap, yours keeps the last one; add them up.", {"input_gradient": _assigned}),
            Mistake(
                "Yours flips the kernel. It is flipped only if dx is computed as a convolution of dy.",
                {"input_gradient": lambda dy, weight, h, w, s, p: input_gradient(dy, weight[::-1, ::-1], h, w, s, p)},
            ),
            Mistake("Yours moves the window by 1 instead of by the stride.", {"input_gradient": _packed}),
            Mistake(
                "Yours cuts the padding off at the end only; the image begins at row p and column p.",
                {"input_gradient": _cropped_at_the_end},
            ),
            Mistake(
                "Your dx ends at the last window; rows and columns that are in no window belong to it as well, with "
                "slope 0.",
                {"input_gradient": _only_reached},
            ),
        ),
        (
            "Start with zeros in the shape of the padded images, and cut the padding off at the end.",
            "For every n, o, q and b: dpadded[n, o·s : o·s + kh, q·s : q·s + kw] += weight[:, :, :, b] · dy[n, o, q, "
            "b].",
        ),
    ),
    Exercise(
        "05_layer",
        "A convolution, forward and backward",
        "Write a whole layer: the forward pass with a bias and the backward pass with all three gradients. After the "
        "comparison, the slopes of your own forward pass are measured as in lesson 2. You may copy from the other "
        "exercises into this file.",
        (convolve, convolve_backward),
        _layer_cases,
        (
            Mistake(
                "Yours forgets the bias.",
                {"convolve": lambda x, weight, bias, s, p: convolve(x, weight, 0 * bias, s, p)},
            ),
            Mistake(
                "Yours flips the kernel; here it is not flipped.",
                {"convolve": lambda x, weight, bias, s, p: convolve(x, weight[::-1, ::-1], bias, s, p)},
            ),
            Mistake(
                "Your dx uses the flipped kernel; every slope adds the kernel as it is.",
                {"convolve_backward": _changed_backward(dx=True)},
            ),
            Mistake(
                "Your dbias is a mean; the slopes are added up.", {"convolve_backward": _changed_backward(bias=True)}
            ),
            Mistake(
                "Yours returns dweight first; the order is dx, dweight, dbias.",
                {"convolve_backward": _changed_backward(order=True)},
            ),
        ),
        (
            "Write the forward pass as loops, and in the backward pass one line for each factor of the innermost line.",
            "With matrices: y = columns @ W + bias gives dW = columns.T @ dy and dcolumns = dy @ W.T; col2im of "
            "dcolumns is dx.",
        ),
        {"convolve_backward": ("dx", "dweight", "dbias")},
        (GradientCheck("convolve", "convolve_backward", _layer, (0, 1, 2), ("dx", "dweight", "dbias")),),
    ),
)
