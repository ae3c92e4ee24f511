"""Animation of a transposed convolution: every input value adds a scaled copy of the kernel to the output.

These copies, the *stamps*, are s cells apart and are summed where they overlap. Padding p then crops p cells on every
side.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.ops.geometry import Pair, pair
from scratchnet.visualization.animation.canvas import CELL, MARGIN, TITLE, Canvas, animation
from scratchnet.visualization.matrices import format_number

GAP = 2 * MARGIN


@dataclass(frozen=True)
class Stamp:
    """Contribution of one input value to the output.

    Attributes
    ----------
    row, column : int
        Position of the input value.
    top, left : int
        Output cell of the stamp's top left corner.
    values : (kh, kw)
        The kernel times the input value.
    sums : (oh, ow)
        The uncropped output so far, including this stamp.
    count : (oh, ow)
        Number of stamps on each cell so far.
    """

    row: int
    column: int
    top: int
    left: int
    values: Array
    sums: Array
    count: Array


def stamps(image: Array, kernel: Array, stride: int | Pair = 1) -> Iterator[Stamp]:
    """Yield the stamps of a transposed convolution of one map with one kernel, row by row.

    Parameters
    ----------
    image : (h, w)
    kernel : (kh, kw)
    stride : int or (vertical, horizontal)

    Examples
    --------
    >>> *_, last = stamps(np.array([[1, 10]]), np.array([[1, 2, 3]]), stride=(1, 2))
    >>> last.sums, last.count
    (array([[ 1,  2, 13, 20, 30]]), array([[1, 1, 2, 1, 1]]))
    """
    (h, w), (kh, kw), (sh, sw) = image.shape, kernel.shape, pair(stride, "stride", 1)
    size = ((h - 1) * sh + kh, (w - 1) * sw + kw)
    sums, count = np.zeros(size, np.result_type(image, kernel)), np.zeros(size, np.int64)
    for row, column in np.ndindex(h, w):
        top, left, values = row * sh, column * sw, image[row, column] * kernel
        sums[top : top + kh, left : left + kw] += values
        count[top : top + kh, left : left + kw] += 1
        yield Stamp(row, column, top, left, values, sums.copy(), count.copy())


def conv_transpose_frames(
    image: Array, kernel: Array, stride: int | Pair = 1, padding: int | Pair = 0
) -> list[Image.Image]:
    """Return one frame per stamp, and one of the result cropped by the padding.

    Cells with more stamps are darker.

    Parameters
    ----------
    image : (h, w)
    kernel : (kh, kw)
    stride, padding : int or (vertical, horizontal)

    Returns
    -------
    list of h·w + 1 PIL images
        For `scratchnet.visualization.save_figure`.
    """
    every = list(stamps(image, kernel, stride))
    (h, w), (kh, kw), (oh, ow) = image.shape, kernel.shape, every[0].sums.shape
    left, middle = MARGIN, MARGIN + max(w, 3) * CELL + GAP
    right = middle + max(kw, 4) * CELL + GAP
    width, top = right + ow * CELL + MARGIN, MARGIN + TITLE
    height = top + max(oh, h, 2 * kh + 1) * CELL + MARGIN
    most = int(every[-1].count.max())
    frames = []
    for stamp in every:
        canvas = Canvas(width, height)
        canvas.matrix((left, top), image, "image", "input", frame=(stamp.row, stamp.column, 1, 1))
        value = format_number(image[stamp.row, stamp.column])
        canvas.matrix((middle, top), kernel, "weight", "kernel")
        canvas.matrix((middle, top + (kh + 1) * CELL), stamp.values, "weight", f"kernel × {value}")
        frame, shades = (stamp.top, stamp.left, kh, kw), 0.3 + 0.6 * (stamp.count - 1) / max(1, most - 1)
        canvas.matrix((right, top), stamp.sums, "output", "output: sum of copies", stamp.count > 0, frame, shades)
        frames.append(canvas.image)
    canvas = Canvas(width, height)
    canvas.matrix((left, top), image, "image", "input")
    canvas.matrix((middle, top), kernel, "weight", "kernel")
    _draw_cropped(canvas, (right, top), every[-1].sums, pair(padding, "padding", 0))
    return animation([*frames, canvas.image])


def _draw_cropped(canvas: Canvas, at: Pair, sums: Array, padding: Pair) -> None:
    """Draw the sum of all stamps with a frame around the cells that remain after cropping."""
    (ph, pw), (oh, ow) = padding, sums.shape
    inside = np.zeros((oh, ow), bool)
    inside[ph : oh - ph, pw : ow - pw] = True
    title = "output" if inside.all() else "output, cropped"
    roles = np.where(inside, "output", "")
    canvas.matrix(at, sums, roles, title, frame=(ph, pw, oh - 2 * ph, ow - 2 * pw))
