"""Selection of the maps of each layer that the page shows.

A layer of 512 maps cannot be shown completely. The strongest maps are those that vary most over the image. Layers that
preserve channels, such as a pooling, show the same channels as the layer before, so that a value can be traced.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.visualization.explorer.displayed_layers import DisplayedLayer

MAX_SCORES = 12
"""Minimum number of score maps, even if other layers show fewer: without its score map a class cannot be traced."""


def choose_maps(
    displayed: Sequence[DisplayedLayer], values: Mapping[str, Array], most: int, preferred: Array | None = None
) -> list[list[int]]:
    """Return the channels to show of each layer, strongest first.

    Parameters
    ----------
    displayed : sequence of DisplayedLayer
    values : mapping
        Name of a value → array (1, h, w, c).
    most : int
        Maximum number of maps per layer, except for the image.
    preferred : (c,) or None
        Strength of each channel of the last layer, and of layers with the same channels; None: as for other layers.
    """
    leaders = _leaders(displayed)
    chosen: dict[int, list[int]] = {}
    for i, shown in enumerate(displayed):
        leader = leaders[i]
        if leader in chosen:
            continue
        if shown.kind == "concat":
            chosen[leader] = _side_by_side(i, displayed, leaders, chosen, most)
            continue
        if preferred is not None and leader == leaders[-1]:
            strength = preferred
        else:
            same = [values[s.value] for s, other in zip(displayed, leaders, strict=True) if other == leader]
            strength = np.sum([_strength(value) for value in same], axis=0)
        count = 3 if shown.kind == "input" else max(most, MAX_SCORES) if leader == leaders[-1] else most
        order = np.argsort(-strength, kind="stable")[:count].tolist()
        chosen[leader] = sorted(order) if shown.kind == "input" else order
    return [chosen[leader] for leader in leaders]


def _leaders(displayed: Sequence[DisplayedLayer]) -> list[int]:
    """Return, for each layer, the index of the first layer with the same channels."""
    number = {name: i for i, shown in enumerate(displayed) for name in (shown.value, f"{shown.name}.switches")}
    leaders = list(range(len(displayed)))
    for i, shown in enumerate(displayed):
        same = [leaders[number[link.source]] for link in shown.connections] if shown.keeps_channels else []
        # The image is excluded: a sum or normalisation of it selects its own maps.
        same = [leader for leader in same if leader != 0]
        first = min([i, *same])
        leaders = [first if leader in same or j == i else leader for j, leader in enumerate(leaders)]
    return leaders


def _side_by_side(
    i: int, displayed: Sequence[DisplayedLayer], leaders: Sequence[int], chosen: Mapping[int, list[int]], most: int
) -> list[int]:
    """Return the strongest maps of each input of a concatenation, as channels of the result."""
    number = {shown.value: j for j, shown in enumerate(displayed)}
    sources = [number[link.source] for link in displayed[i].connections]
    share, offset, found = -(-most // len(sources)), 0, []
    for source in sources:
        found += [offset + channel for channel in chosen[leaders[source]][:share]]
        offset += displayed[source].shape[3]
    return found


def _strength(value: Array) -> Array:
    """Return the variation of each channel (c,) over the image, or its magnitude if the map is one pixel."""
    one = value[0].reshape(-1, value.shape[3])
    strength: Array = one.std(axis=0) if len(one) > 1 else np.abs(one[0])
    return strength / max(float(strength.max()), 1e-12)
