"""Selection of the maps of a layer that the page shows.

A layer of 512 maps cannot be shown whole. The strongest are those that vary most over the image. Layers that hand a
map on as it is, such as a pooling, show the same maps as the layer before, so that a value can be followed.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.visualization.explorer.stages import Stage

MOST_SCORES = 12
"""Minimum number of score maps, even if other layers show fewer: without its score map a class cannot be traced."""


def choose_maps(
    stages: Sequence[Stage], values: Mapping[str, Array], most: int, preferred: Array | None = None
) -> list[list[int]]:
    """Return the channels shown for each stage, strongest first.

    Parameters
    ----------
    stages : sequence of Stage
    values : mapping
        From the name of a value to its array (1, h, w, c).
    most : int
        Maps a stage, except for the image.
    preferred : (c,) or None
        How much each channel of the last stage, and of those with the same maps, counts; None as in the others.
    """
    leaders = _leaders(stages)
    chosen: dict[int, list[int]] = {}
    for i, stage in enumerate(stages):
        leader = leaders[i]
        if leader in chosen:
            continue
        if stage.kind == "concat":
            chosen[leader] = _side_by_side(i, stages, leaders, chosen, most)
            continue
        if preferred is not None and leader == leaders[-1]:
            strength = preferred
        else:
            same = [values[s.value] for s, other in zip(stages, leaders, strict=True) if other == leader]
            strength = np.sum([_strength(value) for value in same], axis=0)
        room = 3 if stage.kind == "input" else max(most, MOST_SCORES) if leader == leaders[-1] else most
        order = np.argsort(-strength, kind="stable")[:room].tolist()
        chosen[leader] = sorted(order) if stage.kind == "input" else order
    return [chosen[leader] for leader in leaders]


def _leaders(stages: Sequence[Stage]) -> list[int]:
    """Return for each stage the first stage with the same maps."""
    number = {name: i for i, stage in enumerate(stages) for name in (stage.value, f"{stage.name}.switches")}
    leaders = list(range(len(stages)))
    for i, stage in enumerate(stages):
        same = [leaders[number[link.source]] for link in stage.links] if stage.keeps_channels else []
        # The image is a separate layer: a sum or norm of it has its own maps.
        same = [leader for leader in same if leader != 0]
        first = min([i, *same])
        leaders = [first if leader in same or j == i else leader for j, leader in enumerate(leaders)]
    return leaders


def _side_by_side(
    i: int, stages: Sequence[Stage], leaders: Sequence[int], chosen: Mapping[int, list[int]], most: int
) -> list[int]:
    """Return the strongest maps of each input of a concatenation, as channels of the result."""
    number = {stage.value: j for j, stage in enumerate(stages)}
    sources = [number[link.source] for link in stages[i].links]
    share, offset, found = -(-most // len(sources)), 0, []
    for source in sources:
        found += [offset + channel for channel in chosen[leaders[source]][:share]]
        offset += stages[source].shape[3]
    return found


def _strength(value: Array) -> Array:
    """Return the variation of each channel (c,) over the image, or its magnitude if the map is one pixel."""
    one = value[0].reshape(-1, value.shape[3])
    strength: Array = one.std(axis=0) if len(one) > 1 else np.abs(one[0])
    return strength / max(float(strength.max()), 1e-12)
