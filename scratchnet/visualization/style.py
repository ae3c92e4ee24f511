"""One visual language for every picture that explains: the same colour always means the same thing.

The colours follow Okabe and Ito, told apart by the colour-blind; the roles that meet in one picture also differ in
lightness, so that a grey print can be read. Role → what wears it:

======== =====================================================================
image    what goes in: pixels, an input map (blue)
weight   what is learned: kernels, the matrix W (yellow)
output   what comes out of an operation (green)
gradient what flows back (wine)
switch   where a maximum was, and where it is put back (vermilion)
truth    the mask that a person drew (black)
pixel    the one pixel that is followed (magenta)
======== =====================================================================

Numbers without a role of their own are lightness, and dark is large: an activation, a weight, a probability is white
where it is least (0, if nothing is negative) and darkest where it is largest. Only photographs are light where their
numbers are large.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1d2430"
"""Colour of text and axes; a report replaces it by the colour of the page's text."""
MUTED = "#8a93a1"
"""Colour of what is there but not meant: frames, zeros, grid lines."""

ROLES: dict[str, str] = {
    "image": "#56b4e9",
    "weight": "#f0c040",
    "output": "#009e73",
    "gradient": "#882255",
    "switch": "#d55e00",
    "truth": "#000000",
    "pixel": "#f2479b",
}


def panels(
    width: float, height: float, rows: int = 1, columns: int = 1, widths: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a figure of ``width`` × ``height`` inches and its axes, row by row, in this project's plain look.

    ``widths`` are the columns' shares of the width; they are equal when it is None.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False, width_ratios=widths).ravel())
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.spines[["left", "bottom"]].set_color(MUTED)
        one.tick_params(color=MUTED, labelcolor=INK, labelsize=9)
        for label in (one.xaxis.label, one.yaxis.label, one.title):
            label.set_color(INK)
            label.set_fontsize(10)
    return figure, axes
