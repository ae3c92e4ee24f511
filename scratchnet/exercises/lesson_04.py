"""Exercises of lesson 4: im2col, convolution as one matrix product, and col2im."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake


def im2col(x: Array, kh: int, kw: int, stride: int, padding: int) -> Array:
    """Return the matrix whose rows are the windows of x (n, h, w, c): (n·oh·ow, kh·kw·c).

    The image is padded with zeros on all four sides. Rows are in the order of the images, and of the windows in
    reading order within an image. A row has the values of its window in the order row, column, channel:

        matrix[(image·oh + o)·ow + q, (i·kw + j)·c + a] = padded[image, o·stride + i, q·stride + j, a]
    """
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    n, h, w, _ = padded.shape
    oh, ow = (h - kh) // stride + 1, (w - kw) // stride + 1
    rows = []
    for image, o, q in np.ndindex(n, oh, ow):
        top, left = o * stride, q * stride
        rows.append(padded[image, top : top + kh, left : left + kw].ravel())
    return np.array(rows)


def convolve(x: Array, weight: Array, stride: int, padding: int) -> Array:
    """Return the convolution of x (n, h, w, a) with weight (kh, kw, a, b), as one matrix product: (n, oh, ow, b).

    The windows are the rows of a matrix, the kernels the columns of another. The kernel is not flipped.

        y[n, o, q, b] = Σ over i, j, a of padded[n, o·stride + i, q·stride + j, a] · weight[i, j, a, b]
    """
    kh, kw, a, b = weight.shape
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))[:, ::stride, ::stride]
    n, oh, ow = windows.shape[:3]  # the other axes are channel, row, column
    columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(n * oh * ow, kh * kw * a)
    return (columns @ weight.reshape(kh * kw * a, b)).reshape(n, oh, ow, b)


def col2im(columns: Array, h: int, w: int, kh: int, kw: int, stride: int, padding: int) -> Array:
    """Return images (n, h, w, c): every element of the matrix of windows, added to the pixel that it came from.

    ``columns`` has the shape (n·oh·ow, kh·kw·c) and the order of im2col. A pixel that is in several windows gets the
    sum of its copies, and a pixel that is in none gets 0. Copies of the padding are dropped.

        padded[image, o·stride + i, q·stride + j, a] += columns[(image·oh + o)·ow + q, (i·kw + j)·c + a]
    """
    oh, ow = (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1
    n, c = len(columns) // (oh * ow), columns.shape[1] // (kh * kw)
    windows = columns.reshape(n, oh, ow, kh, kw, c)
    padded = np.zeros((n, h + 2 * padding, w + 2 * padding, c))
    for o, q in np.ndindex(oh, ow):
        top, left = o * stride, q * stride
        padded[:, top : top + kh, left : left + kw] += windows[:, o, q]
    return padded[:, padding : padding + h, padding : padding + w]


BY_HAND = np.arange(1.0, 10).reshape(1, 3, 3, 1)


def _im2col_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("im2col", (BY_HAND, 2, 2, 1, 0), "the case by hand")
    yield Case("im2col", (rng.standard_normal((1, 5, 4, 1)), 3, 2, 1, 0), "a 3×2 kernel")
    yield Case("im2col", (rng.standard_normal((1, 4, 5, 3)), 2, 2, 1, 0), "three channels")
    yield Case("im2col", (rng.standard_normal((3, 4, 3, 2)), 2, 3, 1, 0), "three images")
    yield Case("im2col", (rng.standard_normal((1, 4, 3, 1)), 3, 3, 1, 1), "padding 1")
    yield Case("im2col", (rng.standard_normal((2, 7, 6, 2)), 3, 3, 2, 1), "stride 2 with padding")


def _convolution_cases(rng: np.random.Generator) -> Iterator[Case]:
    kernel = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)
    yield Case("convolve", (BY_HAND, kernel, 1, 0), "the case by hand")
    yield Case("convolve", (rng.standard_normal((1, 5, 4, 1)), rng.standard_normal((3, 2, 1, 1)), 1, 0), "a 3×2 kernel")
    yield Case(
        "convolve", (rng.standard_normal((1, 4, 5, 3)), rng.standard_normal((2, 2, 3, 1)), 1, 0), "three channels"
    )
    yield Case(
        "convolve", (rng.standard_normal((1, 4, 5, 1)), rng.standard_normal((2, 2, 1, 3)), 1, 0), "three kernels"
    )
    yield Case("convolve", (rng.standard_normal((3, 4, 5, 2)), rng.standard_normal((3, 3, 2, 4)), 1, 1), "three images")
    yield Case("convolve", (rng.standard_normal((2, 7, 6, 2)), rng.standard_normal((3, 3, 2, 3)), 2, 1), "stride 2")


def _col2im_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("col2im", (np.arange(1.0, 17).reshape(4, 4), 3, 3, 2, 2, 1, 0), "the case by hand")
    yield Case("col2im", (rng.standard_normal((6, 4)), 4, 6, 2, 2, 2, 0), "windows that do not overlap")
    yield Case("col2im", (rng.standard_normal((9, 6)), 5, 4, 3, 2, 1, 0), "a 3×2 kernel")
    yield Case("col2im", (rng.standard_normal((12, 12)), 4, 5, 2, 2, 1, 0), "three channels")
    yield Case("col2im", (rng.standard_normal((36, 18)), 4, 3, 3, 3, 1, 1), "three images with padding")
    yield Case("col2im", (rng.standard_normal((18, 9)), 6, 7, 3, 3, 2, 0), "a last row in no window")
    yield Case("col2im", (rng.standard_normal((2 * 3 * 4, 9)), 5, 7, 3, 3, 2, 1), "stride 2 with padding")


def _regrouped(matrix: Array, kh: int, kw: int, axes: tuple[int, int, int]) -> Array:
    """Return the matrix with the values of every window in another order; the present one is row, column, channel."""
    windows = matrix.reshape(len(matrix), kh, kw, -1)
    return windows.transpose(0, *(axis + 1 for axis in axes)).reshape(matrix.shape)


def _from_regrouped(matrix: Array, shape: tuple[int, int, int], axes: tuple[int, int, int]) -> Array:
    """Return the matrix whose windows are read as if they were in another order."""
    back = np.argsort(axes)
    windows = matrix.reshape(len(matrix), *(shape[axis] for axis in axes))
    return windows.transpose(0, *(axis + 1 for axis in back)).reshape(matrix.shape)


def _one_side(x: Array, kh: int, kw: int, stride: int, padding: int) -> Array:
    return im2col(np.pad(x, ((0, 0), (0, 2 * padding), (0, 2 * padding), (0, 0))), kh, kw, stride, 0)


def _images_last(x: Array, kh: int, kw: int, stride: int, padding: int) -> Array:
    rows = im2col(x, kh, kw, stride, padding)
    return rows.reshape(len(x), -1, rows.shape[1]).transpose(1, 0, 2).reshape(rows.shape)


def _dense(x: Array, stride: int, kh: int, kw: int, padding: int) -> Array:
    """Return x cut so that windows one pixel apart are as many as windows ``stride`` pixels apart."""
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    oh, ow = ((size - k) // stride + 1 for size, k in zip(padded.shape[1:3], (kh, kw), strict=True))
    return padded[:, : oh + kh - 1, : ow + kw - 1]


def _unit_steps(x: Array, weight: Array, stride: int, padding: int) -> Array:
    kh, kw = weight.shape[:2]
    return convolve(_dense(x, stride, kh, kw, padding), weight, 1, 0)


def _kernels_as_rows(x: Array, weight: Array, stride: int, padding: int) -> Array:
    b = weight.shape[3]
    return convolve(x, weight.reshape(b, -1).T.reshape(weight.shape), stride, padding)


def _channel_first(x: Array, weight: Array, stride: int, padding: int) -> Array:
    kh, kw, a, b = weight.shape
    mixed = weight.reshape(a, kh, kw, b).transpose(1, 2, 0, 3)
    return convolve(x, mixed, stride, padding)


def _maps_first(x: Array, weight: Array, stride: int, padding: int) -> Array:
    y = convolve(x, weight, stride, padding)
    n, oh, ow, b = y.shape
    return y.reshape(n, b, oh, ow).transpose(0, 2, 3, 1)


def _assigned(columns: Array, h: int, w: int, kh: int, kw: int, stride: int, padding: int) -> Array:
    oh, ow = (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1
    windows = columns.reshape(-1, oh, ow, kh, kw, columns.shape[1] // (kh * kw))
    padded = np.zeros((len(windows), h + 2 * padding, w + 2 * padding, windows.shape[5]))
    for o, q in np.ndindex(oh, ow):
        padded[:, o * stride : o * stride + kh, q * stride : q * stride + kw] = windows[:, o, q]
    return padded[:, padding : padding + h, padding : padding + w]


def _mean_of_copies(columns: Array, h: int, w: int, kh: int, kw: int, stride: int, padding: int) -> Array:
    total = col2im(columns, h, w, kh, kw, stride, padding)
    copies = col2im(np.ones(columns.shape), h, w, kh, kw, stride, padding)
    return total / np.maximum(copies, 1)


def _uncropped(columns: Array, h: int, w: int, kh: int, kw: int, stride: int, padding: int) -> Array:
    return col2im(columns, h + 2 * padding, w + 2 * padding, kh, kw, stride, 0)


def _cropped_at_the_end(columns: Array, h: int, w: int, kh: int, kw: int, stride: int, padding: int) -> Array:
    return _uncropped(columns, h, w, kh, kw, stride, padding)[:, :h, :w]


def _packed(columns: Array, h: int, w: int, kh: int, kw: int, stride: int, padding: int) -> Array:
    oh, ow = (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1
    total = col2im(columns, oh + kh - 1, ow + kw - 1, kh, kw, 1, 0)
    padded = np.zeros((len(total), h + 2 * padding, w + 2 * padding, total.shape[3]))
    padded[:, : total.shape[1], : total.shape[2]] = total
    return padded[:, padding : padding + h, padding : padding + w]


def _channel_first_copies(columns: Array, h: int, w: int, kh: int, kw: int, stride: int, padding: int) -> Array:
    regrouped = _from_regrouped(columns, (kh, kw, columns.shape[1] // (kh * kw)), (2, 0, 1))
    return col2im(regrouped, h, w, kh, kw, stride, padding)


EXERCISES = (
    Exercise(
        "04_im2col",
        "im2col: windows become rows",
        "Write every window of the padded images as a row of one matrix. The order of the values in a row must be that "
        "of a kernel's values in weight.reshape(kh·kw·c, b).",
        (im2col,),
        _im2col_cases,
        (
            Mistake(
                "Your rows have the channels first; a row is read in the order row, column, channel.",
                {"im2col": lambda x, kh, kw, s, p: _regrouped(im2col(x, kh, kw, s, p), kh, kw, (2, 0, 1))},
            ),
            Mistake(
                "Your windows are read column by column; read them row by row.",
                {"im2col": lambda x, kh, kw, s, p: _regrouped(im2col(x, kh, kw, s, p), kh, kw, (1, 0, 2))},
            ),
            Mistake(
                "Your matrix is transposed; here the windows are the rows.",
                {"im2col": lambda x, kh, kw, s, p: im2col(x, kh, kw, s, p).T},
            ),
            Mistake("Yours pads below and to the right only; the padding is on all four sides.", {"im2col": _one_side}),
            Mistake(
                "Yours moves the window by 1 instead of by the stride.",
                {"im2col": lambda x, kh, kw, s, p: im2col(_dense(x, s, kh, kw, p), kh, kw, 1, 0)},
            ),
            Mistake(
                "In yours the same window of all images comes first; all windows of the first image come first.",
                {"im2col": _images_last},
            ),
        ),
        (
            "Pad first: np.pad(x, ((0, 0), (p, p), (p, p), (0, 0))). Then loop over images, rows and columns of "
            "windows.",
            "padded[image, o*s : o*s + kh, q*s : q*s + kw].ravel() is a row: the channel is the last axis already.",
        ),
    ),
    Exercise(
        "04_convolution",
        "Convolution as one matrix product",
        "Build the matrix of windows, multiply it once by the matrix of kernels, and give the result its shape. You "
        "may copy your im2col into this file.",
        (convolve,),
        _convolution_cases,
        (
            Mistake(
                "Yours reshapes the weight to (b, kh·kw·a) and transposes it; this mixes the kernels. "
                "weight.reshape(-1, b) has a kernel in every column.",
                {"convolve": _kernels_as_rows},
            ),
            Mistake(
                "Your windows and your kernels are read in different orders: one has the channels first, the other "
                "last.",
                {"convolve": _channel_first},
            ),
            Mistake(
                "Yours reshapes the product to (n, b, oh, ow); its rows are windows, so it must be (n, oh, ow, b).",
                {"convolve": _maps_first},
            ),
            Mistake(
                "Yours flips the kernel; here it is not flipped.",
                {"convolve": lambda x, weight, s, p: convolve(x, weight[::-1, ::-1], s, p)},
            ),
            Mistake(
                "Yours moves the window by 1 instead of by the stride.",
                {"convolve": _unit_steps},
            ),
        ),
        (
            "The product is columns @ weight.reshape(-1, b). Which shape does it have?",
            "Its rows are the windows in the order image, o, q: reshape it to (n, oh, ow, b).",
        ),
    ),
    Exercise(
        "04_col2im",
        "col2im: rows return to their windows",
        "im2col copies every pixel into all windows that contain it. col2im adds the copies up again at the pixel they "
        "came from. Lesson 5 needs it for gradients. It is not the inverse of im2col: where windows overlap it adds.",
        (col2im,),
        _col2im_cases,
        (
            Mistake(
                "Where windows overlap, yours keeps the last copy; add the copies up. With an index array, += adds "
                "only one of several values for the same index.",
                {"col2im": _assigned},
            ),
            Mistake("Yours moves the window by 1 instead of by the stride.", {"col2im": _packed}),
            Mistake("Yours takes the mean of the copies; it must be their sum.", {"col2im": _mean_of_copies}),
            Mistake(
                "Your result still has the padding; cut it off: padded[:, p : p + h, p : p + w].",
                {"col2im": _uncropped},
            ),
            Mistake(
                "Yours cuts the padding off at the end only; the image begins at row p and column p.",
                {"col2im": _cropped_at_the_end},
            ),
            Mistake(
                "Yours reads the rows as channel, row, column; their order is row, column, channel.",
                {"col2im": _channel_first_copies},
            ),
        ),
        (
            "Work on a padded image of zeros, and cut the padding off at the end.",
            "columns.reshape(n, oh, ow, kh, kw, c) has the window of (o, q) at [:, o, q].",
            "A test of your own: (im2col(x) * C).sum() and (x * col2im(C)).sum() are equal for all x and C.",
        ),
    ),
)
