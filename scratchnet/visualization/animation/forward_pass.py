"""Animation of the forward pass of a network with switches: down to one vector and up again to the mask.

The network is at the top; below are the image, the current activation, the stored switches and finally the mask. One
map per layer is shown: for unpoolings the map that best separates the mask, and in the encoder the same channel, so
that its values visibly return to the positions of their maxima.
"""

from collections.abc import Mapping
from math import ceil

import numpy as np
from PIL import Image, ImageDraw

from scratchnet.arrays import Array
from scratchnet.layers.builtin import known_kind
from scratchnet.network import Network
from scratchnet.utils.shape_checks import check_pair
from scratchnet.visualization.activations import SHADES, strongest_maps
from scratchnet.visualization.animation.canvas import MARGIN, Sheet, animation
from scratchnet.visualization.animation.network_strip import draw_strip
from scratchnet.visualization.graph.blocks import Block, Join, blocks_of
from scratchnet.visualization.overlays import colorize_switches, overlay, switch_colours
from scratchnet.visualization.style import INK, MUTED

SIDE, STRIP, LEVELS = 192, 150, 24
"""Side of a picture and height of the network in pixels; number of shades of a map."""
WIDTH = MARGIN + 4 * (SIDE + MARGIN)
TOP = STRIP + 62


def journey_frames(network: Network, image: Array, prepared: Array, mask: Array) -> list[Image.Image]:
    """Return the frames.

    Parameters
    ----------
    network : Network
        Allocated, in evaluation mode; every pool's switches are used by an unpooling.
    image : (h, w, 3) uint8
        The image to show.
    prepared : (1, h, w, channels)
        The network's input.
    mask : (h, w) uint8
        The network's prediction; class 0 is background.

    Raises
    ------
    ValueError
        If the network has no switches.
    """
    check_pair("journey_frames", image, mask)
    blocks, joins = blocks_of(network, (image.shape[0], image.shape[1]))
    pools = {join.target: join.source for join in joins if join.switches}
    if not pools:
        raise ValueError("journey_frames: this network has no switches; try deconvnet-small, segnet-basic or squares")
    maps = _maps(network, blocks, pools, prepared, mask)
    switches = {blocks[i].name: maps.pop(f"{blocks[i].name}.switches") for i in pools.values()}
    frames = [_frame(network, blocks, joins, 0, image, None, {}, None)]
    seen: dict[str, Array] = {}
    for i, block in enumerate(blocks):
        if block.name in switches:
            seen[block.name] = switches[block.name]
        if i and _is_shown(blocks, i):
            frames.append(_frame(network, blocks, joins, i, image, maps[block.value], seen, None))
    frames.append(_frame(network, blocks, joins, len(blocks), image, maps[blocks[-1].value], seen, mask))
    return animation(frames, colours=250)


def _is_shown(blocks: list[Block], i: int) -> bool:
    """Choose pools, unpoolings, the last of several convolutions in a row, and the result."""
    if i + 1 == len(blocks) or blocks[i].kind == "switches":
        return True
    after = blocks[i + 1]
    return after.kind in ("switches", "result") or after.shape[1:3] != blocks[i].shape[1:3]


def _maps(
    network: Network, blocks: list[Block], pools: Mapping[int, int], prepared: Array, mask: Array
) -> dict[str, Array]:
    """Return the map to show of every block, by value, and of every pool's switches."""
    shown = [block.value for i, block in enumerate(blocks) if i and _is_shown(blocks, i)]
    region = mask > 0
    known = None if region.all() or not region.any() else region
    channels = {one.name: one.channel for one in strongest_maps(network, prepared, shown, known)}
    for up, down in pools.items():  # the way down shows the channels that the way up will use
        channel = channels[blocks[up].value]
        channels |= {blocks[up - 1].value: channel, blocks[down].value: channel, blocks[down - 1].value: channel}
    poolings, maps = network.pools(), {}
    for name, value in network.walk(prepared, keep=True):  # keep: otherwise the switches are released immediately
        if name in channels:
            alone = value.shape[1] * value.shape[2] == 1
            maps[name] = _square(value[0, 0, 0]) if alone else value[0, :, :, channels[name]].copy()
            switches = poolings[name].switches if name in poolings else None
            if switches is not None:
                index = switches.index[0, :, :, channels[name]]
                maps[f"{name}.switches"] = colorize_switches(index, switches.kernel[0])
    for step in network.steps:
        step.layer.release()
    return maps


def _square(values: Array) -> Array:
    """Return a vector as a square, row by row, padded with 0."""
    side = ceil(len(values) ** 0.5)
    square: Array = np.zeros(side * side, values.dtype)
    square[: len(values)] = values
    return square.reshape(side, side)


def _frame(
    network: Network,
    blocks: list[Block],
    joins: list[Join],
    now: int,
    image: Array,
    inside: Array | None,
    seen: Mapping[str, Array],
    mask: Array | None,
) -> Image.Image:
    sheet = Sheet(WIDTH, TOP + SIDE + MARGIN)
    draw = ImageDraw.Draw(sheet.image)
    draw_strip(draw, blocks, joins, now, (MARGIN, WIDTH - MARGIN, STRIP))
    here = blocks[min(now, len(blocks) - 1)]
    sheet.text((MARGIN, STRIP + 24), "The mask." if mask is not None else _says(network, blocks, now), 14)
    lefts = [MARGIN + i * (SIDE + MARGIN) for i in range(4)]
    _paste(sheet, draw, lefts[0], _few(image, 80), f"image, {image.shape[0]}×{image.shape[1]}")
    _, h, w, c = here.shape
    title = "inside" if inside is None else f"inside: {here.name}, " + (f"{h}×{w}" if h * w > 1 else f"{c} numbers")
    _paste(sheet, draw, lefts[1], None if inside is None else _shaded(inside), title)
    _paste(sheet, draw, lefts[2], None, "remembered: switches")
    used = next((blocks[join.source].name for join in joins if join.switches and join.target == now), "")
    _draw_switches(sheet, draw, lefts[2], seen, sum(join.switches for join in joins), used)
    _paste(sheet, draw, lefts[3], None if mask is None else _few(overlay(image, mask), 80), "mask")
    return sheet.image


def _says(network: Network, blocks: list[Block], now: int) -> str:
    """Return the caption of a block."""
    block = blocks[now]
    _, h, w, c = block.shape
    if not now:
        return f"The input image: {h}×{w} pixels."
    match next(known_kind(step.layer) for step in network.steps if step.name == block.name):
        case "pool":
            text = "keeps the maximum of every window and stores its position."
        case "unpool":
            text = "places values at the positions of the maxima; the rest is 0."
        case _ if h * w == 1:
            text = f"{c} values describe the whole image."
        case _ if block.kind == "result":
            text = f"scores of the {c} classes at every pixel."
        case "deconv" if blocks[now - 1].shape[1:3] == (1, 1):
            text = f"learned kernels expand the vector to {c} maps of {h}×{w}. One is shown."
        case "deconv":
            text = f"learned kernels turn points into shapes. {c} maps, one is shown."
        case "conv":
            text = f"learned kernels detect patterns. {c} maps, one is shown."
        case _:
            text = f"{c} maps of {h}×{w}."
    return f"{block.name}: {text}"


def _draw_switches(
    sheet: Sheet, draw: ImageDraw.ImageDraw, left: int, seen: Mapping[str, Array], pools: int, used: str
) -> None:
    """Draw the switch maps side by side, the one in use framed; a pixel's colour is its position in the window."""
    across = ceil(pools**0.5)
    side = (SIDE - 4 * (across + 1)) // across
    for i, (name, picture) in enumerate(seen.items()):
        x, y = left + 4 + i % across * (side + 4), TOP + 4 + i // across * (side + 4)
        sheet.image.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST), (x, y))
        draw.rectangle((x, y, x + 7 * len(name) + 3, y + 14), fill="white")
        sheet.text((x + 2, y + 12), name, 11)
        if name == used:
            draw.rectangle((x - 3, y - 3, x + side + 2, y + side + 2), outline=INK, width=4)
    window = Image.fromarray(switch_colours(2).reshape(2, 2, 3)).resize((16, 16), Image.Resampling.NEAREST)
    sheet.image.paste(window, (left + SIDE - 16, TOP - 22))


def _paste(sheet: Sheet, draw: ImageDraw.ImageDraw, left: int, picture: Image.Image | None, title: str) -> None:
    sheet.text((left, TOP - 8), title)
    if picture is not None:
        sheet.image.paste(picture.resize((SIDE, SIDE), Image.Resampling.NEAREST), (left, TOP))
    draw.rectangle((left, TOP, left + SIDE - 1, TOP + SIDE - 1), outline=MUTED)


def _few(image: Array, colours: int) -> Image.Image:
    """Return an image with few colours to keep the file small."""
    return Image.fromarray(image).quantize(colours, dither=Image.Dither.NONE).convert("RGB")


def _shaded(values: Array) -> Image.Image:
    """Return a map in shades of green: white is the minimum, or 0 if no value is negative."""
    lowest = min(0.0, float(values.min()))
    share = (values - lowest) / ((float(values.max()) - lowest) or 1.0)
    shades = SHADES(np.rint(share * (LEVELS - 1)) / (LEVELS - 1))[:, :, :3]
    return Image.fromarray(np.rint(255 * shades).astype(np.uint8))
