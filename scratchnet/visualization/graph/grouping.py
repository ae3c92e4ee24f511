"""Group steps into layers as a reader sees them, and classify how they treat positions.

A convolution with its batch norm and ReLU is three steps but one layer. In general, a step joins the layer before it if
it works pixel by pixel and no other step uses that layer's output.
"""

from collections import Counter

from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.builtin import known_kind
from scratchnet.network import Network, Step


def groups_of(net: Network, shapes: dict[str, Shape]) -> list[list[Step]]:
    """Return the steps of a network layer by layer, given the shapes of all values."""
    takers = Counter(name for step in net.steps for name in step.inputs)
    groups: list[list[Step]] = []
    for step in net.steps:
        source = step.inputs[0]
        alone = bool(groups) and groups[-1][-1].name == source and takers[source] == 1
        if alone and _follows(step, groups[-1][0].layer, shapes):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _follows(step: Step, first: Layer, shapes: dict[str, Shape]) -> bool:
    """Whether a step belongs to the layer that starts with ``first``."""
    kind = known_kind(step.layer)
    if kind == "frame":
        return shapes[step.name] == shapes[step.inputs[0]]
    if kind == "unknown":
        return False
    return step.layer.drawn_with == "anything" or (step.layer.drawn_with == "learned" and bool(first.parameters))
