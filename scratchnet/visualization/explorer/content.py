"""Data of the explorer page: the layers, their connections, a few maps of each, switches and kernels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.palette import PALETTE
from scratchnet.losses import probabilities
from scratchnet.network import Network
from scratchnet.visualization.explorer.displayed_layers import DisplayedLayer, displayed_layers
from scratchnet.visualization.explorer.image_crop import ImageCrop
from scratchnet.visualization.explorer.maps import choose_maps
from scratchnet.visualization.explorer.packing import Packer, quantize
from scratchnet.visualization.html import hex_colour
from scratchnet.visualization.overlays import overlay, switch_colours

MAX_CLASSES = 24
"""Maximum number of classes with probabilities on the page; beyond it, only the most probable are kept."""


def content(
    network: Network, crop: ImageCrop, class_names: Sequence[str], most: int, start_class: int | None = None
) -> dict[str, Any]:
    """Run a network on a crop of an image and return the data of the page, ready for JSON.

    Parameters
    ----------
    network : Network
        In evaluation mode.
    crop : ImageCrop
    class_names : sequence of str
    most : int
        Maximum number of maps per layer.
    start_class : int or None
        The page opens at the pixel with the highest probability of this class; None takes the most frequent class
        other than class 0.
    """
    h, w = crop.size
    values, switches = _run(network, crop.x)
    displayed = displayed_layers(network, (crop.x.shape[1], crop.x.shape[2]))
    p: Array = probabilities(values[displayed[-1].value])[0, :h, :w]
    chosen = choose_maps(displayed, values, most, _likely(p, displayed[-1]))
    packer = Packer()
    layers = [_layer(i, displayed, chosen, values, switches, packer) for i in range(len(displayed))]
    layers[0]["photo"] = packer.add_bytes(crop.photo)
    layers.append(_classes(p, crop, network.valid_margin, displayed, packer))
    kernels = {pool.kernel[1] for pool in network.pools().values()}
    return {
        "layers": layers,
        "classes": [{"name": name, "colour": hex_colour(PALETTE[i])} for i, name in enumerate(class_names)],
        "switches": {kernel: [hex_colour(colour) for colour in switch_colours(kernel)] for kernel in kernels},
        "colours": crop.colours,
        "start": _start(p, start_class),
        "arrays": packer.text(),
    }


def _run(network: Network, x: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the output of every step, and the switches of every pool."""
    pools, values, switches = network.pools(), {"input": x}, {}
    for name, value in network.walk(x, keep=True):
        values[name] = value
        pooled = pools[name].switches if name in pools else None
        if pooled is not None:
            switches[name] = pooled.index[0]
    for step in network.steps:
        step.layer.release()
    return values, switches


def _layer(
    i: int,
    displayed: Sequence[DisplayedLayer],
    chosen: Sequence[Sequence[int]],
    values: Mapping[str, Array],
    switches: Mapping[str, Array],
    packer: Packer,
) -> dict[str, Any]:
    """Return the data of one layer."""
    shown, channels = displayed[i], chosen[i]
    number = {name: j for j, other in enumerate(displayed) for name in (other.value, f"{other.name}.switches")}
    maps, scale, zero = quantize(values[shown.value][0][:, :, channels])
    layer: dict[str, Any] = {
        **_box(shown),
        "channels": channels,
        "maps": packer.add_bytes(maps),
        "scale": scale,
        "zero": zero,
        "links": [],
    }
    first = 0
    for link in shown.connections:
        source = number[link.source]
        layer["links"].append(
            {"from": source, **vars(link.window), "switches": link.source.endswith(".switches"), "first": first}
        )
        if shown.kind == "concat":
            first += displayed[source].shape[3]
        weights = None if shown.layer is None else shown.layer.weights_between(channels, chosen[source])
        if weights is not None:
            layer["weights"] = packer.add_floats(weights)
    if shown.name in switches:
        layer["switches"] = packer.add_bytes(switches[shown.name][:, :, channels].transpose(2, 0, 1))
    return layer


def _box(shown: DisplayedLayer) -> dict[str, Any]:
    """Return the fields of a layer that the drawing needs."""
    return {
        "name": shown.name,
        "value": shown.value,
        "kind": shown.kind,
        "words": shown.words,
        "after": shown.after,
        "size": shown.shape[1:],
        "keeps": shown.keeps_channels,
        "level": shown.level,
        "part": shown.part,
        "over": shown.pixel_grids,
    }


def _classes(
    p: Array, crop: ImageCrop, border: int, displayed: Sequence[DisplayedLayer], packer: Packer
) -> dict[str, Any]:
    """Return the probabilities (h, w, classes) and the mask as a last layer."""
    (h, w, count), last = p.shape, displayed[-1]
    channels = np.sort(np.argsort(-p.mean(axis=(0, 1)), kind="stable")[:MAX_CLASSES]).tolist()
    mask = p.argmax(axis=2).astype(np.uint8)
    image = crop.photo[border : border + h, border : border + w]
    one = {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "transposed": False}
    return {
        "name": "classes",
        "value": "classes",
        "kind": "classes",
        "words": "sigmoid" if last.shape[3] == 1 else "softmax",
        "after": (),
        "size": (h, w, count),
        "keeps": last.shape[3] > 1,
        "level": last.level,
        "part": last.part,
        "over": last.pixel_grids,
        "channels": channels,
        "maps": packer.add_bytes(np.rint(255 * p[:, :, channels]).astype(np.uint8).transpose(2, 0, 1)),
        "scale": [1 / 255] * len(channels),
        "zero": 0,
        "links": [{**one, "from": len(displayed) - 1, "switches": False, "first": 0}],
        "mask": packer.add_bytes(mask),
        "photo": packer.add_bytes(overlay(image, mask)),
    }


def _likely(p: Array, last: DisplayedLayer) -> Array | None:
    """Return the weights of the score maps, the mean class probabilities, or None for a single score map."""
    mean: Array = p.mean(axis=(0, 1))
    return mean if last.shape[3] == p.shape[2] else None


def _start(p: Array, wanted: int | None) -> dict[str, int]:
    """Return the pixel with the highest probability of a class."""
    if wanted is None:
        frequent = np.bincount(p.argmax(axis=2).ravel(), minlength=p.shape[2])
        wanted = int(frequent[1:].argmax()) + 1 if frequent[1:].any() else 0
    y, x = np.unravel_index(int(p[:, :, wanted].argmax()), p.shape[:2])
    return {"class": wanted, "y": int(y), "x": int(x)}
