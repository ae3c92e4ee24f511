"""Group steps into layers as a reader sees them, and classify how they treat positions.

A convolution with its batch norm and ReLU is three steps but one layer. In general, a step joins the layer before it if
it works pixel by pixel and no other step uses that layer's output.
"""

from collections import Counter
from typing import Literal, TypeAlias

from scratchnet.layers import (
    Add,
    BatchNorm2d,
    BedOfNails,
    BilinearTranspose2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    ReLU,
    Scale,
    UpsampleBilinear,
    UpsampleNearest,
)
from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.builtin import builtin_base
from scratchnet.network import Network, Step

Kind: TypeAlias = Literal["conv", "deconv", "pool", "unpool", "copy", "blend", "add", "concat", "pixelwise"]
"""What a layer does with places: weigh a window, spread by weights, choose, put back, copy, mix neighbours, …"""

KINDS: dict[type[Layer], Kind] = {
    Conv2d: "conv",
    ConvTranspose2d: "deconv",
    MaxPool2d: "pool",
    MaxUnpool2d: "unpool",
    BedOfNails: "copy",
    Crop: "copy",
    Pad: "copy",
    UpsampleNearest: "copy",
    UpsampleBilinear: "blend",
    BilinearTranspose2d: "blend",
    Add: "add",
    Concatenate: "concat",
    BatchNorm2d: "pixelwise",
    Dropout: "pixelwise",
    LocalResponseNorm: "pixelwise",
    ReLU: "pixelwise",
    Scale: "pixelwise",
}


def kind_of(step: Step) -> Kind:
    """Return how a step's layer treats positions.

    Raises
    ------
    ValueError
        For a layer whose ``forward`` is not one of the package's.
    """
    base = builtin_base(step.layer)
    if base is None:
        raise ValueError(
            f"step '{step.name}': it is not known how to draw a {type(step.layer).__name__}; networks of the package's "
            "own layers can be drawn"
        )
    return KINDS[base]


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
    if isinstance(step.layer, Crop):  # one that cuts nothing off
        return shapes[step.name] == shapes[step.inputs[0]]
    if isinstance(step.layer, BatchNorm2d | ReLU):
        return isinstance(first, Conv2d | ConvTranspose2d | BatchNorm2d)
    return isinstance(step.layer, Dropout)
