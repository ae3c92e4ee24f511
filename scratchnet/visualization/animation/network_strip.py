"""Network strip for animations: its boxes, the progress of the forward pass, and the switches."""

from math import log2

from PIL import ImageDraw

from scratchnet.visualization.animation.canvas import tint
from scratchnet.visualization.graph.blocks import Block, BlockKind, Join
from scratchnet.visualization.style import INK, MUTED

ROLE: dict[BlockKind, str] = {
    "image": "image",
    "learned": "weight",
    "switches": "switch",
    "fixed": "",
    "result": "output",
}
"""The colour of a kind of block, by its role."""


def draw_strip(
    draw: ImageDraw.ImageDraw, blocks: list[Block], joins: list[Join], now: int, room: tuple[int, int, int]
) -> None:
    """Draw the boxes, completed ones in full colour, and the paths of the switches so far.

    Parameters
    ----------
    draw : ImageDraw
    blocks, joins : lists
        See `scratchnet.visualization.graph.blocks.blocks_of`.
    now : int
        The block that is at work; all before it are done. Beyond the last: all are.
    room : (left, right, bottom)
        Pixels. The strip begins at the upper edge of the picture.
    """
    start, end, bottom = room
    pitch = (end - start) / len(blocks)
    middle, most = bottom - 46, max(log2(block.shape[1]) for block in blocks)
    tops, centres = [], []
    for i, block in enumerate(blocks):
        half = round(5 + 37 * log2(block.shape[1]) / most)
        left = round(start + i * pitch)
        colour = tint(ROLE[block.kind], 1.0 if i <= now else 0.25)
        box = (left, middle - half, round(left + 0.7 * pitch), middle + half)
        draw.rectangle(box, fill=colour, outline=INK if i <= now else MUTED, width=3 if i == now else 1)
        tops.append(middle - half)
        centres.append((box[0] + box[2]) // 2)
    remembered = sorted((join for join in joins if join.switches), key=lambda join: join.source)
    for level, join in enumerate(remembered):
        if join.source > now:
            continue
        y, used = 8 + 9 * level, join.target <= now
        colour, width = tint("switch", 1.0), 3 if join.target == now else 1
        a, b = centres[join.source], centres[join.target]
        reach = b if used else min(b, round(start + (now + 0.7) * pitch))
        draw.line([(a, tops[join.source]), (a, y), (reach, y)], fill=colour, width=width)
        if used:
            draw.line([(b, y), (b, tops[join.target])], fill=colour, width=width)
