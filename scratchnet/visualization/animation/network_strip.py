"""Network strip for animations: the layers as boxes, the progress of the forward pass, and the switches."""

from math import log2

from PIL import ImageDraw

from scratchnet.visualization.animation.canvas import tint
from scratchnet.visualization.graph.nodes import Edge, Node, NodeKind
from scratchnet.visualization.style import INK, MUTED

ROLE: dict[NodeKind, str] = {
    "image": "image",
    "learned": "weight",
    "switches": "switch",
    "fixed": "",
    "result": "output",
}
"""Role whose colour a kind of node has."""


def draw_strip(
    draw: ImageDraw.ImageDraw, nodes: list[Node], edges: list[Edge], current: int, extent: tuple[int, int, int]
) -> None:
    """Draw the boxes, completed ones in full colour, and the paths of the switches so far.

    Parameters
    ----------
    draw : ImageDraw
    nodes, edges : lists
        Result of `scratchnet.visualization.graph.nodes.network_graph`.
    current : int
        Index of the node being computed; the nodes before it are complete. ``len(nodes)``: all are complete.
    extent : (left, right, bottom)
        In pixels. The strip begins at the top edge of the picture.
    """
    start, end, bottom = extent
    pitch = (end - start) / len(nodes)
    middle, highest = bottom - 46, max(log2(node.shape[1]) for node in nodes)
    tops, centres = [], []
    for i, node in enumerate(nodes):
        half = round(5 + 37 * log2(node.shape[1]) / highest)
        left = round(start + i * pitch)
        colour = tint(ROLE[node.kind], 1.0 if i <= current else 0.25)
        box = (left, middle - half, round(left + 0.7 * pitch), middle + half)
        draw.rectangle(box, fill=colour, outline=INK if i <= current else MUTED, width=3 if i == current else 1)
        tops.append(middle - half)
        centres.append((box[0] + box[2]) // 2)
    switches = sorted((edge for edge in edges if edge.switches), key=lambda edge: edge.source)
    for level, edge in enumerate(switches):
        if edge.source > current:
            continue
        y, used = 8 + 9 * level, edge.target <= current
        colour, width = tint("switch", 1.0), 3 if edge.target == current else 1
        a, b = centres[edge.source], centres[edge.target]
        reach = b if used else min(b, round(start + (current + 0.7) * pitch))
        draw.line([(a, tops[edge.source]), (a, y), (reach, y)], fill=colour, width=width)
        if used:
            draw.line([(b, y), (b, tops[edge.target])], fill=colour, width=width)
