"""Overlap counts of a transposed convolution, the cause of checkerboard artifacts.

Every input pixel adds a scaled copy of the kernel, a stamp, to the output, s pixels after the previous one. Along one
axis, an output pixel receives k/s stamps if the stride divides the kernel; otherwise the count alternates between ⌊k/s⌋
and ⌈k/s⌉, and so do the sums, before anything is learned (Odena, Dumoulin, Olah 2016, "Deconvolution and checkerboard
artifacts").
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scratchnet.arrays import Array
from scratchnet.ops.geometry import Pair
from scratchnet.ops.transposed import conv_transpose2d
from scratchnet.visualization.matrices import draw_matrix
from scratchnet.visualization.style import INK, MUTED, ROLES, panels


def overlap_counts(size: int | Pair, kernel: int | Pair, stride: int | Pair, padding: int | Pair = 0) -> Array:
    """Return the number of stamps on each output pixel of a transposed convolution.

    The count is a transposed convolution of ones with a kernel of ones.

    Parameters
    ----------
    size : int or (h, w)
        Size of the input.
    kernel, stride, padding : int or (vertical, horizontal)

    Returns
    -------
    (oh, ow) int64

    Examples
    --------
    >>> overlap_counts((1, 3), kernel=(1, 3), stride=(1, 2))
    array([[1, 1, 2, 1, 2, 1, 1]])
    """
    h, w = (size, size) if isinstance(size, int) else size
    kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
    counts: Array = conv_transpose2d(np.ones((1, h, w, 1)), np.ones((kh, kw, 1, 1)), None, stride, padding)
    return np.rint(counts[0, :, :, 0]).astype(np.int64)


def draw_stamps(axes: Axes, size: int, kernel: int, stride: int, title: str = "") -> None:
    """Draw one row of input pixels, below it their stamps, and at the bottom the number of stamps on each output pixel.

    Parameters
    ----------
    axes : Axes
    size : int
        Number of input pixels.
    kernel, stride : int
    title : str
    """
    counts = overlap_counts((1, size), (1, kernel), (1, stride))[0]
    levels = -(-kernel // stride)  # enough rows that no two stamps of a row overlap
    for i in range(size):
        left, level = i * stride, i % levels
        middle = left + kernel / 2
        axes.plot([middle, middle], [-1, level + 0.1], color=MUTED, linewidth=0.7, zorder=0)
        axes.add_patch(Rectangle((middle - 0.4, -1.8), 0.8, 0.8, facecolor=ROLES["image"], edgecolor=INK, lw=0.6))
        axes.add_patch(
            Rectangle((left + 0.04, level + 0.1), kernel - 0.08, 0.7, facecolor=ROLES["weight"], edgecolor=INK, lw=0.6)
        )
    bottom, most = levels + 0.3, counts.max()
    for column, count in enumerate(counts):
        tint = 0.15 + 0.75 * (count / most) ** 2
        axes.add_patch(
            Rectangle((column, bottom), 1, 1, facecolor=(ROLES["output"], tint), edgecolor=MUTED, linewidth=0.6)
        )
        axes.text(column + 0.5, bottom + 0.5, str(count), ha="center", va="center", fontsize=9, color=INK)
    axes.set_xlim(-0.1, len(counts) + 0.1)
    axes.set_ylim(bottom + 1.1, -1.9)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(title, fontsize=10, color=INK, parse_math=False)


def overlap_figure(settings: Sequence[Pair] = ((2, 2), (3, 2), (4, 2)), size: int = 5) -> Figure:
    """Draw stamps and their counts for several transposed convolutions, for one row of pixels and for a whole map.

    Parameters
    ----------
    settings : sequence of (kernel, stride)
    size : int
        Height and width of the input.
    """
    figure, axes = panels(3.3 * len(settings), 4.6, rows=2, columns=len(settings))
    for i, (kernel, stride) in enumerate(settings):
        draw_stamps(axes[i], size, kernel, stride, f"kernel {kernel}, stride {stride}")
        draw_matrix(axes[len(settings) + i], overlap_counts(size, kernel, stride), "output")
    return figure
