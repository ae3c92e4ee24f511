"""Group the steps of a network into layers, as they are drawn.

A convolution with its batch norm and ReLU is three steps but one layer. In general, a step belongs to the layer before
it if it is pixelwise and no other step uses that layer's output.
"""

from collections import Counter

from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.builtin import known_kind
from scratchnet.network import Network, Step


def group_steps(net: Network, shapes: dict[str, Shape]) -> list[list[Step]]:
    """Return the steps of a network layer by layer, given the shapes of all values."""
    uses = Counter(name for step in net.steps for name in step.inputs)
    groups: list[list[Step]] = []
    for step in net.steps:
        source = step.inputs[0]
        alone = bool(groups) and groups[-1][-1].name == source and uses[source] == 1
        if alone and _follows(step, groups[-1][0].layer, shapes):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _follows(step: Step, first: Layer, shapes: dict[str, Shape]) -> bool:
    """Return whether a step belongs to the layer that starts with ``first``."""
    kind = known_kind(step.layer)
    if kind == "frame":
        return shapes[step.name] == shapes[step.inputs[0]]
    if kind == "unknown":
        return False
    return step.layer.drawn_with == "anything" or (step.layer.drawn_with == "learned" and bool(first.parameters))
