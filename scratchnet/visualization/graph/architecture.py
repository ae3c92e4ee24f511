"""Drawing of a network: one box per block, with height for the map's size and width for the number of channels.

Both are logarithmic: a map of half the height is one step lower, twice as many channels are one step wider. Otherwise
4096 channels and one-pixel maps would not fit on a page with 64 channels and 224 pixels.
"""

from math import log2
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path

from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.visualization.graph.blocks import Block, BlockKind, Join, blocks_of
from scratchnet.visualization.style import INK, MUTED, ROLES

COLOURS: dict[BlockKind, str] = {
    "image": ROLES["image"],
    "learned": ROLES["weight"],
    "switches": ROLES["switch"],
    "fixed": "#d4d8de",
    "unknown": "white",
    "result": ROLES["output"],
}
MEANINGS: dict[BlockKind, str] = {
    "image": "image",
    "learned": "learned: convolution, deconvolution",
    "switches": "pool with switches, unpooling",
    "fixed": "without weights",
    "unknown": "of unknown kind",
    "result": "result",
}

STEP, WIDE, GAP = 0.3, 0.032, 0.075
"""Inches: what a doubling of the size adds to the height, one of the channels to the width; between boxes."""
LOWEST, NARROWEST = 0.3, 0.13
"""Inches: the height of the smallest map, the least width."""
LEVEL = 0.11
"""Inches between two arcs that would run into each other."""
CHARACTER = 0.062
"""Inches that a character of a label takes."""


def architecture_figure(network: Network, size: Pair, title: str = "") -> Figure:
    """Draw a network; nothing is computed, its memory need not be allocated.

    Above each box stands its number of channels, below it its name, and the height × width of its map at the bottom.
    Arcs show what does not come from the box on the left: switches (vermilion), and maps that are used again, added or
    laid beside (dashed).

    Parameters
    ----------
    network : Network
    size : (h, w)
        Of the image.
    title : str

    Raises
    ------
    ValueError
        If the size does not fit the network.
    """
    blocks, joins = blocks_of(network, size)
    boxes = _boxes(blocks)
    width = boxes[-1].get_x() + boxes[-1].get_width()
    names = max(-box.get_y() + CHARACTER * len(block.name) for box, block in zip(boxes, blocks, strict=True)) + 0.2
    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    for block, box in zip(blocks, boxes, strict=True):
        axes.add_patch(box)
        _label(axes, box, block)
    top = _draw_joins(axes, boxes, blocks, joins) + 0.15
    _draw_sizes(axes, boxes, blocks, -names)
    handles: list[Patch | Line2D] = [
        Patch(facecolor=COLOURS[kind], edgecolor=INK, linewidth=0.6, label=MEANINGS[kind])
        for kind in COLOURS
        if any(block.kind == kind for block in blocks)
    ]
    if any(join.switches for join in joins):
        handles.append(Line2D([], [], color=ROLES["switch"], linewidth=1.2, label="switches"))
    if any(_is_arc(join) and not join.switches for join in joins):
        handles.append(Line2D([], [], color=INK, linewidth=1.0, linestyle="--", label="map used again"))
    width = max(width, 5.5)
    columns = max(1, min(len(handles), int((width + 0.5) / 2.1)))
    legend = 0.2 * -(-len(handles) // columns) + 0.1
    figure.legend(handles=handles, loc="lower left", ncols=columns, frameon=False, fontsize=8, labelcolor=INK)
    bottom = -names - 0.35 - legend
    axes.text(0, top + 0.1, title, fontsize=11, color=INK, parse_math=False, va="bottom")
    top += 0.4 if title else 0.1
    axes.set_xlim(-0.2, width + 0.3)
    axes.set_ylim(bottom, top)
    axes.set_axis_off()
    figure.set_size_inches(width + 0.5, top - bottom)
    return figure


def _boxes(blocks: list[Block]) -> list[Rectangle]:
    """Place the boxes side by side, their middles at height 0."""
    boxes, x = [], 0.0
    smallest = min(block.shape[1] for block in blocks)
    for block in blocks:
        _, h, _, c = block.shape
        height, width = LOWEST + STEP * log2(h / smallest), max(NARROWEST, WIDE * (log2(c) + 1))
        colour = COLOURS[block.kind]
        boxes.append(Rectangle((x, -height / 2), width, height, facecolor=colour, edgecolor=INK, linewidth=0.6))
        x += width + GAP
    return boxes


def _middle(box: Rectangle) -> float:
    x: float = box.get_x() + box.get_width() / 2
    return x


def _top(box: Rectangle, block: Block) -> float:
    """Return where the label above a box ends."""
    top: float = box.get_y() + box.get_height() + CHARACTER * len(str(block.shape[3])) + 0.12
    return top


def _label(axes: Axes, box: Rectangle, block: Block) -> None:
    look: dict[str, Any] = {"rotation": 90, "fontsize": 6.5, "ha": "center", "color": INK}
    axes.text(_middle(box), -box.get_y() + 0.04, str(block.shape[3]), va="bottom", **look)
    axes.text(_middle(box), box.get_y() - 0.04, block.name, va="top", parse_math=False, **look)


def _draw_sizes(axes: Axes, boxes: list[Rectangle], blocks: list[Block], y: float) -> None:
    """Write the size of maps under every run of boxes that share it."""
    start = 0
    for i, block in enumerate(blocks):
        if i + 1 < len(blocks) and blocks[i + 1].shape[1:3] == block.shape[1:3]:
            continue
        left, right = boxes[start].get_x(), boxes[i].get_x() + boxes[i].get_width()
        axes.plot([left, right], [y, y], color=MUTED, linewidth=1.5, solid_capstyle="butt")
        h, w = block.shape[1:3]
        text = str(h) if h == w else f"{h}×{w}"
        upright = right - left + GAP > CHARACTER * len(text)
        turned = 0 if upright else 90
        axes.text((left + right) / 2, y - 0.04, text, ha="center", va="top", fontsize=6.5, color=INK, rotation=turned)
        start = i + 1


def _is_arc(join: Join) -> bool:
    return join.switches or join.target > join.source + 1


def _draw_joins(axes: Axes, boxes: list[Rectangle], blocks: list[Block], joins: list[Join]) -> float:
    """Draw short lines between neighbours and arcs over the others; return the height of the highest point."""
    tops = [_top(box, block) for box, block in zip(boxes, blocks, strict=True)]
    placed: list[tuple[int, int, float]] = []
    for join in sorted(joins, key=lambda join: join.target - join.source):
        a, b = boxes[join.source], boxes[join.target]
        if not _is_arc(join):
            axes.plot([a.get_x() + a.get_width(), b.get_x()], [0, 0], color=INK, linewidth=1.0)
            continue
        y = max(tops[join.source : join.target + 1]) + LEVEL
        crossed = [other for start, end, other in placed if join.source <= end and start <= join.target]
        while any(abs(y - other) < LEVEL for other in crossed):
            y += LEVEL / 2
        placed.append((join.source, join.target, y))
        # a little right of the middle where it starts and left where it ends, so that two arcs at a box stay apart
        x0, x1 = _middle(a) + 0.02, _middle(b) - 0.02
        arc = _arc(x0, tops[join.source], x1, tops[join.target], y)
        colour, line = (ROLES["switch"], "-") if join.switches else (INK, "--")
        axes.add_patch(PathPatch(arc, fill=False, edgecolor=colour, linewidth=1.1, linestyle=line, gid=_gid(join)))
        axes.plot([x1], [tops[join.target]], marker="v", markersize=3.5, color=colour)
    return max([*tops, *(y for _, _, y in placed)])


def _gid(join: Join) -> str:
    return f"{join.source}-{join.target}"


def _arc(x0: float, y0: float, x1: float, y1: float, y: float) -> Path:
    """Return a way up from (x0, y0) to height y, over and down to (x1, y1), with round corners."""
    r = min(0.1, (x1 - x0) / 2, y - max(y0, y1))
    points = [(x0, y0), (x0, y - r), (x0, y), (x0 + r, y), (x1 - r, y), (x1, y), (x1, y - r), (x1, y1)]
    codes = [Path.MOVETO, Path.LINETO, Path.CURVE3, Path.CURVE3, Path.LINETO, Path.CURVE3, Path.CURVE3, Path.LINETO]
    return Path(points, codes)
