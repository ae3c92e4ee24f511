"""VGG16's thirteen convolutions (Simonyan and Zisserman 2015, table 1, column D), the encoder of most nets here.

    conv1_1 64   conv1_2 64   pool1
    conv2_1 128  conv2_2 128  pool2
    conv3_1 256  conv3_2 256  conv3_3 256  pool3
    conv4_1 512  conv4_2 512  conv4_3 512  pool4
    conv5_1 512  conv5_2 512  conv5_3 512  pool5

FCN, SegNet, DeconvNet and the dilated FCN use them under these names (14,714,688 parameters). They differ in the layers
after a convolution, in padding and dilation, and in the pools that they keep.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from scratchnet.layers import Conv2d, ReLU
from scratchnet.models.blocks import scaled
from scratchnet.network import Network

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of the convolutions of each block."""

Finish: TypeAlias = Callable[[Network, str, int], str]
"""Add the layers that follow a convolution (net, name, channels); return the last step's name."""


def vgg_blocks(channels: int, width: float) -> list[tuple[int, int, list[int]]]:
    """Return (number, channels in, filters) of the five blocks, the filters multiplied by ``width``."""
    blocks = [scaled(filters, width) for filters in VGG16]
    return [(i, channels if i == 1 else blocks[i - 2][-1], filters) for i, filters in enumerate(blocks, 1)]


def vgg_block(
    net: Network,
    number: int,
    c_in: int,
    filters: Sequence[int],
    finish: Finish,
    first_padding: int = 1,
    dilation: int = 1,
) -> str:
    """Add the convolutions of one block, without its pool; return the last step's name.

    Parameters
    ----------
    net : Network
    number : int
        1 to 5.
    c_in : int
    filters : sequence of int
    finish : Finish
    first_padding : int
        Padding of the block's first convolution; the others preserve the size.
    dilation : int
    """
    last = ""
    for i, c_out in enumerate(filters, 1):
        name, padding = f"conv{number}_{i}", first_padding if i == 1 else 1
        net.add(name, Conv2d(c_in, c_out, 3, padding=padding * dilation, dilation=dilation))
        last, c_in = finish(net, name, c_out), c_out
    return last


def relu(net: Network, name: str, channels: int) -> str:
    """Add a ReLU alone, as in VGG16 itself."""
    return net.add(f"{name}_relu", ReLU())
