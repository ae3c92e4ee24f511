"""Matrix of a linear operation, computed by applying it to unit vectors and drawn with blank zeros.

If maps are written as vectors, row by row, every linear operation is a matrix W, ``y = W x``: a convolution, its
transpose, an unpooling with given switches, an interpolation. Column j of W is the output if pixel j is 1 and all
others are 0. Its nonzero entries are the outputs that pixel j influences; those of row i are the inputs of output i.
"""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scratchnet.arrays import Array
from scratchnet.ops.convolution import conv2d
from scratchnet.ops.geometry import Pair
from scratchnet.visualization.style import INK, MUTED, ROLES, panels


def operator_matrix(function: Callable[[Array], Array], shape: tuple[int, int, int]) -> Array:
    """Return the matrix of a linear function of one image, column by column.

    Parameters
    ----------
    function : callable
        Function from a map (1, h, w, c) float64 to a map (1, oh, ow, c_out).
    shape : (h, w, c)
        Shape of its input.

    Returns
    -------
    (oh·ow·c_out, h·w·c) float64
        Pixels are ordered row by row, with channels innermost.

    Raises
    ------
    ValueError
        If the function is not linear: it has a bias or a nonlinearity (ReLU, max pooling).

    Examples
    --------
    >>> from scratchnet.ops.resampling import upsample_nearest
    >>> operator_matrix(lambda x: upsample_nearest(x, (1, 2)), (1, 2, 1))
    array([[1., 0.],
           [1., 0.],
           [0., 1.],
           [0., 1.]])
    """
    count = int(np.prod(shape))
    columns = []
    for unit in np.eye(count):
        column: Array = function(unit.reshape(1, *shape))
        columns.append(column.ravel().copy())  # the function may reuse its memory
    matrix = np.stack(columns, axis=1)
    trial = np.random.default_rng(0).standard_normal(count)
    expected, found = matrix @ trial, np.asarray(function(trial.reshape(1, *shape))).ravel()
    if not np.allclose(found, expected, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(expected).max()))):
        raise ValueError("operator_matrix: the function is not linear; remove its bias, ReLU or max pooling")
    return matrix


def draw_operator(
    axes: Axes, matrix: Array, inputs: Pair, outputs: Pair, title: str = "", numbers: bool | None = None
) -> None:
    """Draw the matrix of a linear operation on maps of one channel, with blank zeros.

    A blue strip above represents the pixels of the input, a green one on the left those of the output; lines separate
    the rows of the maps.

    Parameters
    ----------
    axes : Axes
    matrix : (oh·ow, h·w)
    inputs, outputs : (h, w) and (oh, ow)
    title : str
    numbers : bool or None
        Whether to write the values. None: only if there are at most 16 rows and columns.

    Raises
    ------
    ValueError
        If the sizes do not match the matrix.
    """
    rows, columns = matrix.shape
    if (rows, columns) != (outputs[0] * outputs[1], inputs[0] * inputs[1]):
        raise ValueError(f"draw_operator: a matrix {matrix.shape} does not map {inputs} pixels to {outputs}")
    # The square root makes small weights distinguishable from zeros.
    strength = np.sqrt(np.abs(matrix) / (np.abs(matrix).max() or 1.0))[:, :, None]
    axes.imshow(1 + strength * (np.array(to_rgb(ROLES["weight"])) - 1), extent=(0, columns, rows, 0), zorder=0)
    for at in range(columns + 1):
        axes.plot([at, at], [0, rows], color=MUTED, linewidth=1.3 if at % inputs[1] == 0 else 0.25, zorder=1)
    for at in range(rows + 1):
        axes.plot([0, columns], [at, at], color=MUTED, linewidth=1.3 if at % outputs[1] == 0 else 0.25, zorder=1)
    if numbers if numbers is not None else max(rows, columns) <= 16:
        for row, column in np.argwhere(matrix):
            text = f"{matrix[row, column]:.2g}".replace("-", "−")
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8, color=INK)
    _draw_strips(axes, inputs, outputs)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(title, fontsize=10, color=INK, parse_math=False)


def _draw_strips(axes: Axes, inputs: Pair, outputs: Pair) -> None:
    """Draw and label the strips that represent the input above a matrix and the output on its left."""
    rows, columns = outputs[0] * outputs[1], inputs[0] * inputs[1]
    strip = 0.03 * max(rows, columns)
    axes.add_patch(Rectangle((0, -1.6 * strip), columns, strip, facecolor=ROLES["image"]))
    axes.add_patch(Rectangle((-1.6 * strip, 0), strip, rows, facecolor=ROLES["output"]))
    axes.text(columns / 2, -2 * strip, f"{inputs[0]}×{inputs[1]} in", ha="center", va="bottom", fontsize=9, color=INK)
    label = f"{outputs[0]}×{outputs[1]} out"
    axes.text(-2 * strip, rows / 2, label, ha="right", va="center", rotation=90, fontsize=9, color=INK)
    axes.set_xlim(-3.5 * strip, columns + 0.1)
    axes.set_ylim(rows + 0.1, -3.5 * strip)


def transpose_figure(kernel: Array, size: Pair, stride: int | Pair = 1, padding: int | Pair = 0) -> Figure:
    """Draw the matrix W of a convolution, and next to it Wᵀ, the matrix of the transposed convolution.

    Parameters
    ----------
    kernel : (kh, kw)
    size : (h, w)
        Size of the convolution's input.
    stride, padding : int or (vertical, horizontal)
    """
    weight = kernel[:, :, None, None].astype(np.float64)

    def convolve(x: Array) -> Array:
        return conv2d(x, weight, None, stride, padding)

    oh, ow = convolve(np.zeros((1, *size, 1))).shape[1:3]
    matrix = operator_matrix(convolve, (*size, 1))
    rows, columns = matrix.shape
    height = 9.5 * max(rows, columns) / (rows + columns)
    figure, (left, right) = panels(10, height, columns=2, widths=(columns, rows))
    draw_operator(left, matrix, size, (oh, ow), "W: convolution")
    draw_operator(right, matrix.T, (oh, ow), size, "Wᵀ: transposed convolution")
    return figure
