"""Settings of the segmentation page: which sizes the network takes, and how larger images are divided."""

from collections.abc import Sequence
from math import prod
from typing import Any

from scratchnet.data import Preprocessing
from scratchnet.inference.segmentation import MAX_UNTILED_SIDE, OVERLAP, TILE
from scratchnet.network import Network

MAX_PIXELS = 40_000_000
"""Largest image, in pixels; a browser needs about 0.7 GB for it. Larger ones are scaled down."""

MEMORY = 1_000_000_000
"""Bytes for the values of a network that sees the whole image at once, a quarter of what WebAssembly can address."""


def web_settings(network: Network, preprocessing: Preprocessing, classes: Sequence[str]) -> dict[str, Any]:
    """Return the settings.

    The page cuts images into tiles as `scratchnet.inference.Segmenter` does. A network whose input is normalised image
    by image sees the whole image instead, scaled down if it does not fit.

    Parameters
    ----------
    network : Network
    preprocessing : Preprocessing
    classes : sequence of str

    Returns
    -------
    dict
        ``stride``, ``fixed`` (size or None), ``resize`` (size or None), ``surround`` (pixels round a tile that the
        network needs to see and does not segment), ``untiled``, ``tile``, ``overlap`` (in pixels), ``pixels`` (largest
        image), ``box`` (largest height and width, or None), ``smallest`` (least side), ``reason`` (why larger images
        are scaled down), ``classes`` (their number).
    """
    stride, fixed = network.stride, network.fixed_size
    whole = preprocessing.normalization == "image" and preprocessing.resize is None
    limit, reason = MAX_PIXELS, "a browser has too little memory for more"
    if whole:
        limit = min(limit, MEMORY // bytes_per_pixel(network)) if fixed is None else prod(fixed)
        reason = "the network normalises every image as a whole, and takes no more at once"
    return {
        "stride": stride,
        "fixed": fixed,
        "resize": preprocessing.resize,
        "surround": _surround(network),
        "untiled": 1 << 30 if whole else MAX_UNTILED_SIDE,
        "tile": TILE,
        "overlap": OVERLAP,
        "pixels": limit,
        "box": fixed if whole else None,
        "smallest": 1 if preprocessing.resize else stride,
        "reason": reason,
        "classes": len(classes),
    }


def _surround(network: Network) -> int:
    """Return the border that the network crops, rounded up so that all pooling windows stay where they are."""
    together = prod(pool.stride[0] for pool in network.pools().values())
    return -(-network.valid_margin // together) * together


def bytes_per_pixel(network: Network) -> int:
    """Return the bytes of the values in memory at the worst moment of a pass, per pixel of a large image.

    Values are float32, the switches of a pool int64; a value is kept until its last use.
    """
    side = -(-512 // network.stride) * network.stride
    padded = side + 2 * network.valid_margin
    shapes = network.shapes((padded, padded))
    last_use = {name.removesuffix(".switches"): i for i, step in enumerate(network.steps) for name in step.inputs}
    used = {name for step in network.steps for name in step.inputs}
    live: dict[str, int] = {}
    peak = 0
    for i, step in enumerate(network.steps):
        live[step.name] = prod(shapes[step.name]) * (12 if f"{step.name}.switches" in used else 4)
        peak = max(peak, sum(live.values()))
        live = {name: size for name, size in live.items() if last_use.get(name, -1) > i}
    return -(-peak // side**2)
