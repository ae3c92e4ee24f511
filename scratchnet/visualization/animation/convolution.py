"""Animations of a convolution and of im2col.

In the first, the kernel slides over the padded map and the output fills up cell by cell. In the second, every window
becomes a row of a matrix, and one matrix product computes the convolution.
"""

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.ops.convolution import conv2d
from scratchnet.ops.geometry import Pair, pair
from scratchnet.visualization.animation.canvas import CELL, MARGIN, TITLE, Canvas, animation
from scratchnet.visualization.matrices import format_number

GAP = 2 * MARGIN


def convolution_frames(
    image: Array, kernel: Array, stride: int | Pair = 1, padding: int | Pair = 0
) -> list[Image.Image]:
    """Return one frame per output cell, and one of the whole result.

    Parameters
    ----------
    image : (h, w)
    kernel : (kh, kw)
    stride, padding : int or (vertical, horizontal)

    Returns
    -------
    list of oh·ow + 1 PIL images
        For `scratchnet.visualization.save_figure`.
    """
    padded, y, windows = _slide(image, kernel, stride, padding)
    (kh, kw), inside = kernel.shape, _inside(image, padding)
    rows = max(padded.shape[0], kh, y.shape[0])
    left, middle = MARGIN, MARGIN + padded.shape[1] * CELL + GAP
    right = middle + kw * CELL + GAP
    width, height = right + y.shape[1] * CELL + MARGIN, MARGIN + TITLE + rows * CELL + GAP
    top = MARGIN + TITLE
    frames = []
    for shown, window in [*windows, (np.ones(y.shape, bool), None)]:
        canvas = Canvas(width, height)
        roles = np.where(inside, "image", "").astype("U6")
        here = None
        if window is not None:
            r, c = window
            roles[r : r + kh, c : c + kw] = "weight"
            here = (r, c, kh, kw)
            text = _weighted_sum(padded[r : r + kh, c : c + kw], kernel)
            canvas.text((left, height - 10), text, 11 if kh * kw > 6 else 13)
        canvas.matrix((left, top), padded, roles, "image" + (", padded with 0" if not inside.all() else ""), frame=here)
        canvas.matrix((middle, top), kernel, "weight", "kernel")
        last = None if window is None else (*np.argwhere(shown)[-1].tolist(), 1, 1)
        canvas.matrix((right, top), y, "output", "output", shown, last)
        frames.append(canvas.image)
    return animation(frames)


def im2col_frames(image: Array, kernel: Array, stride: int | Pair = 1, padding: int | Pair = 0) -> list[Image.Image]:
    """Return one frame per window that becomes a row, and one of the product; see `convolution_frames`.

    The last frame shows the kernel as a column next to the matrix of windows, and the product as the output.
    """
    padded, y, windows = _slide(image, kernel, stride, padding)
    kh, kw = kernel.shape
    columns = np.array([padded[r : r + kh, c : c + kw].ravel() for _, (r, c) in windows])  # (oh·ow, kh·kw)
    inside = _inside(image, padding)
    left, middle = MARGIN, MARGIN + padded.shape[1] * CELL + GAP
    weights = middle + columns.shape[1] * CELL + GAP
    results = weights + 2 * CELL + GAP // 2
    width = results + 2 * CELL + MARGIN
    rows = max(padded.shape[0], len(columns), columns.shape[1])
    top, height = MARGIN + TITLE, 2 * MARGIN + TITLE + rows * CELL
    frames = []
    for i, (_, (r, c)) in enumerate([*windows, (None, (0, 0))]):
        canvas, done = Canvas(width, height), i == len(columns)
        roles, here = np.where(inside, "image", "").astype("U6"), None
        if not done:
            here = (r, c, kh, kw)
        known = np.broadcast_to(np.arange(len(columns))[:, None] <= i, columns.shape)
        row = None if done else (i, 0, 1, columns.shape[1])
        canvas.matrix((left, top), padded, roles, "image", frame=here)
        canvas.matrix((middle, top), columns, "image", "one window per row", known, row)
        if done:
            canvas.matrix((weights, top), kernel.reshape(-1, 1), "weight", "× kernel")
            canvas.matrix((results, top), y.reshape(-1, 1), "output", "= output")
        frames.append(canvas.image)
    return animation(frames)


def _slide(
    image: Array, kernel: Array, stride: int | Pair, padding: int | Pair
) -> tuple[Array, Array, list[tuple[Array, Pair]]]:
    """Return the padded map, the output, and for each window the output cells computed so far and its corner."""
    if image.ndim != 2 or kernel.ndim != 2:
        raise ValueError(f"expected an image (h, w) and a kernel (kh, kw), got {image.shape} and {kernel.shape}")
    sh, sw = pair(stride, "stride", 1)
    ph, pw = pair(padding, "padding", 0)
    batch: Array = conv2d(
        image[None, :, :, None].astype(np.float64), kernel[:, :, None, None].astype(np.float64), None, stride, padding
    )
    y = batch[0, :, :, 0]
    order = np.arange(y.size).reshape(y.shape)
    windows = [(order <= order[r, c], (r * sh, c * sw)) for r, c in np.ndindex(y.shape)]
    return np.pad(image, ((ph, ph), (pw, pw))), y, windows


def _inside(image: Array, padding: int | Pair) -> Array:
    """Return (h, w) bool: the cells of the padded map that belong to the image."""
    ph, pw = pair(padding, "padding", 0)
    return np.pad(np.ones(image.shape, bool), ((ph, ph), (pw, pw)))


def _weighted_sum(window: Array, kernel: Array) -> str:
    """Return the sum of products of a window and the kernel as an equation."""
    pairs = zip(window.ravel().tolist(), kernel.ravel().tolist(), strict=True)
    terms = " + ".join(f"{format_number(a)}·{format_number(b)}" for a, b in pairs)
    return f"{terms} = {format_number((window * kernel).sum())}"
