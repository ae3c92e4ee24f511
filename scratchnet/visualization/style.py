"""Colours and layout shared by all explanatory figures: the same colour always has the same meaning.

The colours follow Okabe and Ito and can be distinguished by colour-blind readers. Roles that occur in the same picture
also differ in lightness, so that a greyscale print is readable.

======== =====================================================================
image    input: pixels, an input map (blue)
weight   learned values: kernels, the matrix W (yellow)
output   output of an operation (green)
gradient gradients (wine)
switch   positions of maxima, in pooling and unpooling (vermilion)
truth    ground truth, a mask drawn by a person (black)
pixel    the selected pixel (magenta)
======== =====================================================================

Values without a role are shown as lightness, and dark is large: an activation, weight or probability is white where it
is smallest (0 if no value is negative) and darkest where it is largest. Only photographs are light where their values
are large.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1d2430"
"""Colour of text and axes; a report replaces it with the page's text colour."""
MUTED = "#8a93a1"
"""Colour of secondary elements: frames, zeros, grid lines."""

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
    """Return a figure of ``width`` × ``height`` inches and its axes, row by row, in this project's style.

    ``widths`` are the relative widths of the columns; None: equal widths.
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
