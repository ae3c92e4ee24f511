"""Signed maps beside the image that they are about, as a Matplotlib figure."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from scratchnet.arrays import Array
from scratchnet.ops.geometry import Pair
from scratchnet.visualization.attribution.signed_colours import limit_of, signed_picture
from scratchnet.visualization.style import INK, MUTED, ROLES, panels


def attribution_figure(photo: Array, pixel: Pair, maps: Mapping[str, Array], columns: int = 5) -> Figure:
    """Draw the photograph and maps of the same size, with a ring around the explained pixel.

    Orange is positive, purple negative; each map has a scale of its own, which is written below its title.

    Parameters
    ----------
    photo : (h, w, 3) uint8
    pixel : (row, column)
    maps : mapping of str to (h, w) array
        By title.
    columns : int
        Number of pictures per row, the photograph included.
    """
    pictures = {"image": photo}
    for title, values in maps.items():
        limit = limit_of(values)
        pictures[f"{title}\n±{limit:.2g}"] = signed_picture(values, photo, limit)
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure, axes = panels(1.9 * columns, 2.3 * rows, rows, columns)
    for one in axes[len(pictures) :]:
        one.set_axis_off()
    for one, (title, shown) in zip(axes, pictures.items(), strict=False):
        one.imshow(shown, interpolation="nearest")
        one.plot(pixel[1], pixel[0], "o", markersize=9, markerfacecolor="none", markeredgecolor=ROLES["pixel"])
        one.set_title(title, fontsize=9, color=INK, parse_math=False)
        one.set_xticks([])
        one.set_yticks([])
        one.spines[:].set_visible(True)
        one.spines[:].set_color(MUTED)
    return figure
