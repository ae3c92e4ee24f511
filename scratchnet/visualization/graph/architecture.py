"""Architecture diagram: one box per layer, whose height shows the size of the map and whose width the channels.

Both are logarithmic: a map of half the height is one step lower, twice as many channels are one step wider. On a linear
scale, 4096 channels and one-pixel maps would not fit on a page with 64 channels and 224 pixels.
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
from scratchnet.visualization.graph.nodes import Edge, Node, NodeKind, network_graph
from scratchnet.visualization.style import INK, MUTED, ROLES

COLOURS: dict[NodeKind, str] = {
    "image": ROLES["image"],
    "learned": ROLES["weight"],
    "switches": ROLES["switch"],
    "fixed": "#d4d8de",
    "unknown": "white",
    "result": ROLES["output"],
}
MEANINGS: dict[NodeKind, str] = {
    "image": "image",
    "learned": "learned: convolution, deconvolution",
    "switches": "pooling with switches, unpooling",
    "fixed": "no weights",
    "unknown": "unknown kind",
    "result": "result",
}

STEP, WIDE, GAP = 0.3, 0.032, 0.075
"""In inches: the height added by a doubling of the size, the width added by a doubling of the channels, the gap."""
MIN_HEIGHT, MIN_WIDTH = 0.3, 0.13
"""In inches: the height of the smallest map, the minimum width."""
LEVEL = 0.11
"""In inches: the distance between arcs that would overlap."""
CHARACTER = 0.062
"""In inches: the width of a character of a label."""


def architecture_figure(network: Network, size: Pair, title: str = "") -> Figure:
    """Draw a network; nothing is computed, and its parameters need not be allocated.

    The number of channels is above each box, its name below it, and the height × width of its map at the bottom. Arcs
    show inputs that do not come from the box on the left: switches (vermilion), and skip connections, whose maps are
    added or concatenated (dashed). ``size`` (h, w) is the size of the image.

    Raises
    ------
    ValueError
        If the size does not fit the network.
    """
    nodes, edges = network_graph(network, size)
    boxes = _boxes(nodes)
    width = boxes[-1].get_x() + boxes[-1].get_width()
    names = max(-box.get_y() + CHARACTER * len(node.name) for box, node in zip(boxes, nodes, strict=True)) + 0.2
    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    for node, box in zip(nodes, boxes, strict=True):
        axes.add_patch(box)
        _label(axes, box, node)
    top = _draw_edges(axes, boxes, nodes, edges) + 0.15
    _draw_sizes(axes, boxes, nodes, -names)
    handles = _legend_handles(nodes, edges)
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


def _legend_handles(nodes: list[Node], edges: list[Edge]) -> list[Patch | Line2D]:
    """Return the legend entries for the kinds of nodes and edges that occur."""
    handles: list[Patch | Line2D] = [
        Patch(facecolor=COLOURS[kind], edgecolor=INK, linewidth=0.6, label=MEANINGS[kind])
        for kind in COLOURS
        if any(node.kind == kind for node in nodes)
    ]
    if any(edge.switches for edge in edges):
        handles.append(Line2D([], [], color=ROLES["switch"], linewidth=1.2, label="switches"))
    if any(_is_arc(edge) and not edge.switches for edge in edges):
        handles.append(Line2D([], [], color=INK, linewidth=1.0, linestyle="--", label="skip connection"))
    return handles


def _boxes(nodes: list[Node]) -> list[Rectangle]:
    """Return the boxes side by side, vertically centred at 0."""
    boxes, x = [], 0.0
    smallest = min(node.shape[1] for node in nodes)
    for node in nodes:
        _, h, _, c = node.shape
        height, width = MIN_HEIGHT + STEP * log2(h / smallest), max(MIN_WIDTH, WIDE * (log2(c) + 1))
        colour = COLOURS[node.kind]
        boxes.append(Rectangle((x, -height / 2), width, height, facecolor=colour, edgecolor=INK, linewidth=0.6))
        x += width + GAP
    return boxes


def _middle(box: Rectangle) -> float:
    x: float = box.get_x() + box.get_width() / 2
    return x


def _top(box: Rectangle, node: Node) -> float:
    """Return the top of the label above a box."""
    top: float = box.get_y() + box.get_height() + CHARACTER * len(str(node.shape[3])) + 0.12
    return top


def _label(axes: Axes, box: Rectangle, node: Node) -> None:
    style: dict[str, Any] = {"rotation": 90, "fontsize": 6.5, "ha": "center", "color": INK}
    axes.text(_middle(box), -box.get_y() + 0.04, str(node.shape[3]), va="bottom", **style)
    axes.text(_middle(box), box.get_y() - 0.04, node.name, va="top", parse_math=False, **style)


def _draw_sizes(axes: Axes, boxes: list[Rectangle], nodes: list[Node], y: float) -> None:
    """Write the map size below each run of boxes with the same size."""
    start = 0
    for i, node in enumerate(nodes):
        if i + 1 < len(nodes) and nodes[i + 1].shape[1:3] == node.shape[1:3]:
            continue
        left, right = boxes[start].get_x(), boxes[i].get_x() + boxes[i].get_width()
        axes.plot([left, right], [y, y], color=MUTED, linewidth=1.5, solid_capstyle="butt")
        h, w = node.shape[1:3]
        text = str(h) if h == w else f"{h}×{w}"
        upright = right - left + GAP > CHARACTER * len(text)
        rotation = 0 if upright else 90
        axes.text((left + right) / 2, y - 0.04, text, ha="center", va="top", fontsize=6.5, color=INK, rotation=rotation)
        start = i + 1


def _is_arc(edge: Edge) -> bool:
    return edge.switches or edge.target > edge.source + 1


def _draw_edges(axes: Axes, boxes: list[Rectangle], nodes: list[Node], edges: list[Edge]) -> float:
    """Draw short lines between neighbours and arcs for all other edges; return the height of the highest point."""
    tops = [_top(box, node) for box, node in zip(boxes, nodes, strict=True)]
    placed: list[tuple[int, int, float]] = []
    for edge in sorted(edges, key=lambda edge: edge.target - edge.source):
        a, b = boxes[edge.source], boxes[edge.target]
        if not _is_arc(edge):
            axes.plot([a.get_x() + a.get_width(), b.get_x()], [0, 0], color=INK, linewidth=1.0)
            continue
        y = max(tops[edge.source : edge.target + 1]) + LEVEL
        crossed = [other for start, end, other in placed if edge.source <= end and start <= edge.target]
        while any(abs(y - other) < LEVEL for other in crossed):
            y += LEVEL / 2
        placed.append((edge.source, edge.target, y))
        # starts a little to the right of the centre and ends a little to the left, so that arcs at a box do not touch
        x0, x1 = _middle(a) + 0.02, _middle(b) - 0.02
        arc = _arc(x0, tops[edge.source], x1, tops[edge.target], y)
        colour, line = (ROLES["switch"], "-") if edge.switches else (INK, "--")
        axes.add_patch(PathPatch(arc, fill=False, edgecolor=colour, linewidth=1.1, linestyle=line, gid=_gid(edge)))
        axes.plot([x1], [tops[edge.target]], marker="v", markersize=3.5, color=colour)
    return max([*tops, *(y for _, _, y in placed)])


def _gid(edge: Edge) -> str:
    return f"{edge.source}-{edge.target}"


def _arc(x0: float, y0: float, x1: float, y1: float, y: float) -> Path:
    """Return a path from (x0, y0) up to height y, across, and down to (x1, y1), with rounded corners."""
    r = min(0.1, (x1 - x0) / 2, y - max(y0, y1))
    points = [(x0, y0), (x0, y - r), (x0, y), (x0 + r, y), (x1 - r, y), (x1, y), (x1, y - r), (x1, y1)]
    codes = [Path.MOVETO, Path.LINETO, Path.CURVE3, Path.CURVE3, Path.LINETO, Path.CURVE3, Path.CURVE3, Path.LINETO]
    return Path(points, codes)
