"""Data of the live page: the network and its parameters, the image, and the maps to show."""

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scratchnet.arrays import Array, to_host
from scratchnet.data.palette import PALETTE
from scratchnet.inference import Segmenter
from scratchnet.losses import probabilities
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.visualization.explorer.displayed_layers import DisplayedLayer, displayed_layers
from scratchnet.visualization.explorer.image_crop import ImageCrop
from scratchnet.visualization.explorer.maps import choose_maps
from scratchnet.visualization.html import hex_colour
from scratchnet.visualization.live.input_transform import InputTransform
from scratchnet.visualization.live.steps import check_layers, describe_steps
from scratchnet.visualization.live.weights import Parameters, pack_floats
from scratchnet.visualization.overlays import switch_colours

REFERENCES = 400
"""Approximate number of probabilities that the page compares with its own."""

SIDES = (256, 192, 128, 96, 64)
"""Sides of the part of the image, the largest first."""

MULTIPLY_ADDS = 250e6
"""Largest number of multiply-adds per pass for which a larger side is chosen: about a quarter of a second."""


def live_size(network: Network) -> Pair:
    """Return the size of the part of the image on which a browser runs the network in a fraction of a second."""
    if network.fixed_size is not None:
        return network.fixed_size
    for side in SIDES:
        if side % network.stride == 0 and _multiply_adds(network, (side, side)) <= MULTIPLY_ADDS:
            return side, side
    side = max(SIDES[-1], network.stride)
    return side, side


def live_content(
    segmenter: Segmenter, crop: ImageCrop, transform: InputTransform, class_names: Sequence[str], most: int
) -> tuple[dict[str, Any], Parameters]:
    """Run a network on a crop of an image; return the data of the page, ready for JSON, and the parameters.

    Parameters
    ----------
    segmenter : Segmenter
    crop : ImageCrop
    transform : InputTransform
        Preprocessing of the image.
    class_names : sequence of str
    most : int
        Maximum number of maps per layer.

    Raises
    ------
    UserError
        If the page's script cannot compute one of the layers.
    """
    network, (h, w) = segmenter.network, crop.size
    check_layers(network)
    size = crop.x.shape[1], crop.x.shape[2]
    layers, p = _layers(network, crop, most)
    parameters, margin = Parameters(), network.valid_margin
    content = {
        "steps": describe_steps(network, size, parameters),
        "layers": layers,
        "classes": [{"name": name, "colour": hex_colour(PALETTE[i])} for i, name in enumerate(class_names)],
        "switches": _switch_colours(network),
        "size": (h, w),
        "photo": _pack_bytes(crop.photo[margin : margin + h, margin : margin + w]),
        "input": {"size": crop.x.shape[1:], **transform.settings(), **_positions(segmenter, (h, w))},
        "reference": _reference(p),
    }
    return content, parameters


def _layers(network: Network, crop: ImageCrop, most: int) -> tuple[list[dict[str, Any]], Array]:
    """Run the network; return the entries of all layers with their strongest maps, and the probabilities (h, w, c)."""
    h, w = crop.size
    values = {"input": crop.x, **{name: value.copy() for name, value in network.walk(crop.x)}}
    displayed = displayed_layers(network, (crop.x.shape[1], crop.x.shape[2]))
    p: Array = to_host(probabilities(values[displayed[-1].value])[0, :h, :w])
    preferred = p.mean(axis=(0, 1)) if displayed[-1].shape[3] == p.shape[2] else None
    chosen = choose_maps(displayed, values, most, preferred)
    numbers = {"input": 0, **{step.name: i for i, step in enumerate(network.steps, 1)}}
    return [_layer(shown, channels, numbers) for shown, channels in zip(displayed, chosen, strict=True)], p


def _layer(shown: DisplayedLayer, channels: Sequence[int], numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return the entries of a layer as it is drawn."""
    return {
        "name": shown.name,
        "first": numbers[shown.name],
        "value": numbers[shown.value],
        "kind": shown.kind,
        "words": shown.words,
        "after": shown.after,
        "size": shown.shape[1:],
        "level": shown.level,
        "part": shown.part,
        "channels": channels,
    }


def _switch_colours(network: Network) -> dict[int, list[str]]:
    """Return the colours of the positions in a window, by the window's width."""
    widths = {pool.kernel[1] for pool in network.pools().values()}
    return {width: [hex_colour(colour) for colour in switch_colours(width)] for width in widths}


def _reference(p: Array) -> dict[str, Any]:
    """Return evenly spread elements of the probabilities."""
    every = max(1, p.size // REFERENCES)
    return {"every": every, "values": pack_floats(p.ravel()[::every].astype(np.float32))}


def _positions(segmenter: Segmenter, size: Pair) -> dict[str, list[int]]:
    """Return which row and column of the image each row and column of the input repeats (padding by reflection)."""
    h, w = size
    rows = np.broadcast_to(np.arange(h)[None, :, None, None], (1, h, w, 1))
    columns = np.broadcast_to(np.arange(w)[None, None, :, None], (1, h, w, 1))
    rows, columns = (segmenter.padded(segmenter.framed(index)) for index in (rows, columns))
    return {"rows": rows[0, :, 0, 0].tolist(), "columns": columns[0, 0, :, 0].tolist()}


def _multiply_adds(network: Network, size: Pair) -> int:
    """Return the multiply-adds of one pass over an image of ``size``."""
    margin = network.valid_margin
    shapes = network.shapes((size[0] + 2 * margin, size[1] + 2 * margin))
    return sum(step.layer.multiply_adds(*(shapes[name] for name in step.inputs)) for step in network.steps)


def _pack_bytes(array: Array) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode("ascii")
