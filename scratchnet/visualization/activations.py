"""Activations of a decoder from coarse to fine, one map per layer.

This follows figure 4 of Noh, Hong, Han (2015), who show "the most representative" map of each layer. Unpooling places
single values at the switches, the following deconvolution turns them into shapes, and so on at twice the size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from scratchnet.arrays import Array
from scratchnet.network import Network
from scratchnet.visualization.style import INK, MUTED, ROLES, panels

SHADES = LinearSegmentedColormap.from_list("output", ["white", ROLES["output"], "#00251b"])
"""Colours from the smallest to the largest value of a map."""


@dataclass(frozen=True)
class Activation:
    """One map of one layer.

    Attributes
    ----------
    name : str
        Name of the step.
    channel : int
        Channel of the map.
    map : (h, w)
        Values of the map.
    """

    name: str
    channel: int
    map: Array


def strongest_maps(
    network: Network, image: Array, names: Sequence[str], region: Array | None = None
) -> list[Activation]:
    """Return, for each named layer, the map that varies most over the image or that separates a region best.

    Parameters
    ----------
    network : Network
        Allocated, in evaluation mode.
    image : (1, h, w, channels)
        Preprocessed image.
    names : sequence of str
        Names of steps, in the order of the result; "input" is not allowed.
    region : (h, w) bool or None
        None selects the map with the largest standard deviation over its pixels. With a region, the map whose mean
        inside exceeds the mean outside by most standard deviations is selected; the region is sampled at each map's
        pixels. Maps of a single pixel are selected by magnitude.

    Raises
    ------
    ValueError
        If a name is not a step's, the region and the image differ in size, or the region contains no or all pixels.
    """
    known = [step.name for step in network.steps]
    for name in names:
        if name not in known:
            raise ValueError(f"strongest_maps: the network has no step '{name}'; it has {', '.join(known)}")
    if region is not None and (region.shape != image.shape[1:3] or region.all() or not region.any()):
        raise ValueError(
            f"strongest_maps: expected a region {image.shape[1:3]} of some, not all pixels, got {region.shape} "
            f"with {int(region.sum())}"
        )
    found = {}
    for name, value in network.walk(image):
        if name in names:
            maps = np.asarray(value[0], np.float64)  # (h, w, c), a copy: the value may be overwritten
            channel = int(_weight(maps, region).argmax())
            found[name] = Activation(name, channel, maps[:, :, channel].copy())
    return [found[name] for name in names]


def _weight(maps: Array, region: Array | None) -> Array:
    """Return a score (c,) of each of the maps (h, w, c); the map with the highest score is shown."""
    h, w = maps.shape[:2]
    spread: Array = maps.std(axis=(0, 1)) if h * w > 1 else np.abs(maps[0, 0])
    if region is None:
        return spread
    rows, columns = (((np.arange(m) + 0.5) * s / m).astype(int) for m, s in zip((h, w), region.shape, strict=True))
    inside = region[rows[:, None], columns]
    if inside.all() or not inside.any():
        return spread
    between: Array = (maps[inside].mean(axis=0) - maps[~inside].mean(axis=0)) / np.maximum(spread, 1e-12)
    return between


def activations_figure(activations: Sequence[Activation], image: Array | None = None, columns: int = 6) -> Figure:
    """Draw maps in rows, each labelled with layer, size and channel; dark is large.

    Parameters
    ----------
    activations : sequence of Activation
    image : (h, w, 3) uint8 or None
        Shown first.
    columns : int
        Number of pictures per row.

    Raises
    ------
    ValueError
        If there is no activation.
    """
    count = len(activations) + (image is not None)
    if not activations:
        raise ValueError("activations_figure: no activation given")
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, axes = panels(1.7 * columns, 2.1 * rows, rows, columns)
    for empty in axes[count:]:
        empty.set_axis_off()
    if image is not None:
        axes[0].imshow(image, interpolation="nearest")
        axes[0].set_title(f"image\n{image.shape[0]}×{image.shape[1]}", fontsize=8, color=INK)
    for one, activation in zip(axes[count - len(activations) :], activations, strict=False):
        h, w = activation.map.shape
        lowest = min(0.0, activation.map.min())  # after a ReLU, white is 0
        one.imshow(activation.map, cmap=SHADES, interpolation="nearest", vmin=lowest)
        text = f"{activation.name}\n{h}×{w}, map {activation.channel}"
        one.set_title(text, fontsize=8, color=INK, parse_math=False)
    for one in axes[:count]:
        one.set_xticks([])
        one.set_yticks([])
        one.spines[:].set_visible(True)
        one.spines[:].set_color(MUTED)
    return figure
