"""Animation of the forward pass of a network with switches, from the image to the mask.

The network is at the top; below are the image, the current activation, the stored switches and finally the mask. One
map per layer is shown: for unpooling layers the map that best separates the mask, and in the encoder the same channel,
so that its values visibly return to the positions of their maxima.
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
from scratchnet.visualization.animation.canvas import MARGIN, Canvas, animation
from scratchnet.visualization.animation.network_strip import draw_strip
from scratchnet.visualization.graph.nodes import Edge, Node, network_graph
from scratchnet.visualization.overlays import colorize_switches, overlay, switch_colours
from scratchnet.visualization.style import INK, MUTED

SIDE, STRIP, LEVELS = 192, 150, 24
"""Side of a picture and height of the network strip in pixels; number of shades of a map."""
WIDTH = MARGIN + 4 * (SIDE + MARGIN)
TOP = STRIP + 62


def forward_pass_frames(network: Network, image: Array, prepared: Array, mask: Array) -> list[Image.Image]:
    """Return the frames of the animation.

    Parameters
    ----------
    network : Network
        Allocated, in evaluation mode; every pool's switches must be used by an unpooling.
    image : (h, w, 3) uint8
        Image to show.
    prepared : (1, h, w, channels)
        Preprocessed image, the network's input.
    mask : (h, w) uint8
        Prediction of the network; class 0 is background.

    Raises
    ------
    ValueError
        If the network has no switches.
    """
    check_pair("forward_pass_frames", image, mask)
    nodes, edges = network_graph(network, (image.shape[0], image.shape[1]))
    pools = {edge.target: edge.source for edge in edges if edge.switches}
    if not pools:
        raise ValueError(
            "forward_pass_frames: this network has no switches; try deconvnet-small, segnet-basic or squares"
        )
    maps = _maps(network, nodes, pools, prepared, mask)
    switches = {nodes[i].name: maps.pop(f"{nodes[i].name}.switches") for i in pools.values()}
    frames = [_frame(network, nodes, edges, 0, image, None, {}, None)]
    stored: dict[str, Array] = {}
    for i, node in enumerate(nodes):
        if node.name in switches:
            stored[node.name] = switches[node.name]
        if i and _is_shown(nodes, i):
            frames.append(_frame(network, nodes, edges, i, image, maps[node.value], stored, None))
    frames.append(_frame(network, nodes, edges, len(nodes), image, maps[nodes[-1].value], stored, mask))
    return animation(frames, colours=250)


def _is_shown(nodes: list[Node], i: int) -> bool:
    """Return whether to show a node: poolings, unpoolings, the last convolution of a series, and the result."""
    if i + 1 == len(nodes) or nodes[i].kind == "switches":
        return True
    after = nodes[i + 1]
    return after.kind in ("switches", "result") or after.shape[1:3] != nodes[i].shape[1:3]


def _maps(
    network: Network, nodes: list[Node], pools: Mapping[int, int], prepared: Array, mask: Array
) -> dict[str, Array]:
    """Return the map to show of each node, by name of its value, and pictures of all switches."""
    shown = [node.value for i, node in enumerate(nodes) if i and _is_shown(nodes, i)]
    region = mask > 0
    known = None if region.all() or not region.any() else region
    channels = {one.name: one.channel for one in strongest_maps(network, prepared, shown, known)}
    for up, down in pools.items():  # the encoder shows the channels that the decoder uses
        channel = channels[nodes[up].value]
        channels |= {nodes[up - 1].value: channel, nodes[down].value: channel, nodes[down - 1].value: channel}
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
    nodes: list[Node],
    edges: list[Edge],
    current: int,
    image: Array,
    activation: Array | None,
    stored: Mapping[str, Array],
    mask: Array | None,
) -> Image.Image:
    canvas = Canvas(WIDTH, TOP + SIDE + MARGIN)
    draw = ImageDraw.Draw(canvas.image)
    draw_strip(draw, nodes, edges, current, (MARGIN, WIDTH - MARGIN, STRIP))
    here = nodes[min(current, len(nodes) - 1)]
    canvas.text((MARGIN, STRIP + 24), "The mask." if mask is not None else _caption(network, nodes, current), 14)
    lefts = [MARGIN + i * (SIDE + MARGIN) for i in range(4)]
    _paste(canvas, draw, lefts[0], _reduce_colours(image, 80), f"image, {image.shape[0]}×{image.shape[1]}")
    _, h, w, c = here.shape
    title = f"map of {here.name}, {h}×{w}" if h * w > 1 else f"{here.name}: {c} values"
    title = "activation" if activation is None else title
    _paste(canvas, draw, lefts[1], None if activation is None else _shade(activation), title)
    _paste(canvas, draw, lefts[2], None, "stored switches")
    used = next((nodes[edge.source].name for edge in edges if edge.switches and edge.target == current), "")
    _draw_switches(canvas, draw, lefts[2], stored, sum(edge.switches for edge in edges), used)
    _paste(canvas, draw, lefts[3], None if mask is None else _reduce_colours(overlay(image, mask), 80), "mask")
    return canvas.image


def _caption(network: Network, nodes: list[Node], current: int) -> str:
    """Return the caption of the frame of a node."""
    node = nodes[current]
    _, h, w, c = node.shape
    if not current:
        return f"The input image: {h}×{w} pixels."
    match next(known_kind(step.layer) for step in network.steps if step.name == node.name):
        case "pool":
            text = "takes the maximum of every window and stores its position."
        case "unpool":
            text = "places the values at the positions of the maxima; the rest is 0."
        case _ if h * w == 1:
            text = f"{c} values describe the whole image."
        case _ if node.kind == "result":
            text = f"scores of the {c} classes at every pixel."
        case "deconv" if nodes[current - 1].shape[1:3] == (1, 1):
            text = f"learned kernels expand the vector to {c} maps of {h}×{w}; one is shown."
        case "deconv":
            text = f"learned kernels turn points into shapes. One of {c} maps is shown."
        case "conv":
            text = f"learned kernels detect patterns. One of {c} maps is shown."
        case _:
            text = f"{c} maps of {h}×{w}."
    return f"{node.name}: {text}"


def _draw_switches(
    canvas: Canvas, draw: ImageDraw.ImageDraw, left: int, stored: Mapping[str, Array], pools: int, used: str
) -> None:
    """Draw the switches of all pools, those in use framed; a colour shows the position of the maximum in its window."""
    across = ceil(pools**0.5)
    side = (SIDE - 4 * (across + 1)) // across
    for i, (name, picture) in enumerate(stored.items()):
        x, y = left + 4 + i % across * (side + 4), TOP + 4 + i // across * (side + 4)
        canvas.image.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST), (x, y))
        draw.rectangle((x, y, x + 7 * len(name) + 3, y + 14), fill="white")
        canvas.text((x + 2, y + 12), name, 11)
        if name == used:
            draw.rectangle((x - 3, y - 3, x + side + 2, y + side + 2), outline=INK, width=4)
    window = Image.fromarray(switch_colours(2).reshape(2, 2, 3)).resize((16, 16), Image.Resampling.NEAREST)
    canvas.image.paste(window, (left + SIDE - 16, TOP - 22))


def _paste(canvas: Canvas, draw: ImageDraw.ImageDraw, left: int, picture: Image.Image | None, title: str) -> None:
    canvas.text((left, TOP - 8), title)
    if picture is not None:
        canvas.image.paste(picture.resize((SIDE, SIDE), Image.Resampling.NEAREST), (left, TOP))
    draw.rectangle((left, TOP, left + SIDE - 1, TOP + SIDE - 1), outline=MUTED)


def _reduce_colours(image: Array, colours: int) -> Image.Image:
    """Return an image with at most ``colours`` colours, so that the file is small."""
    return Image.fromarray(image).quantize(colours, dither=Image.Dither.NONE).convert("RGB")


def _shade(values: Array) -> Image.Image:
    """Return a map in shades of green: white is the minimum, or 0 if no value is negative."""
    lowest = min(0.0, float(values.min()))
    share = (values - lowest) / ((float(values.max()) - lowest) or 1.0)
    shades = SHADES(np.rint(share * (LEVELS - 1)) / (LEVELS - 1))[:, :, :3]
    return Image.fromarray(np.rint(255 * shades).astype(np.uint8))
