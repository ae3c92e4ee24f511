"""Drawing of small matrices as grids of their elements."""

import math
from collections.abc import Collection

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from scratchnet.arrays import Array
from scratchnet.visualization.style import INK, MUTED, ROLES


def format_number(value: float) -> str:
    """Return a number with at most two decimals and a true minus sign; NaN and infinite values as NaN, ∞ and −∞."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")


def draw_matrix(
    axes: Axes,
    values: Array,
    role: str = "image",
    title: str = "",
    marked: Collection[tuple[int, int]] = (),
    zeros: bool = True,
) -> None:
    """Draw the values of a matrix in cells tinted with the colour of its role.

    Parameters
    ----------
    axes : Axes
        Ticks and frame are removed.
    values : Array
        (rows, columns); integers are written without decimals, others with at most two.
    role : str
        Key of `scratchnet.visualization.style.ROLES`; the tint is stronger for larger magnitudes, and full for NaN.
    title : str
    marked : collection of (row, column)
        Cells with a heavy frame in the colour of switches.
    zeros : bool
        Whether to write zeros; blank cells are clearer if most are zero.
    """
    rows, columns = values.shape
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0)) or 1.0
    for row, column in np.ndindex(rows, columns):
        value = float(values[row, column])
        colour = (ROLES[role], 0.55 * (abs(value) / largest if math.isfinite(value) else 1))
        axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, edgecolor=MUTED, linewidth=0.6))
        if value or zeros:
            text = format_number(value)
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=9, color=INK)
    for row, column in marked:
        axes.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=ROLES["switch"], linewidth=2.2, zorder=3))
    axes.set_xlim(-0.05, columns + 0.05)
    axes.set_ylim(rows + 0.05, -0.05)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(title, fontsize=10, color=INK, parse_math=False)
