"""The blood-cell net: a student's small convolution–deconvolution network for 128×128 microscope images.

    conv 32, 64, 96, 128, 160 with 2×2 max pooling in between, then unpooling + deconvolution with 128, 96, 64, 32,
    then one channel whose sigmoid is the probability of "cell"

The report (after Noh, Hong, Han 2015, in Keras) contradicts itself in places; this is its consistent reading: four
pools, four unpools, 160 maps of 8×8 at the bottleneck for a 128×128 image, and a final 1×1 layer. There are two
variants:

- ``unpool="nearest"``, the report's order: upsample the 160 maps by repeating each value, then deconvolve to 128, and
  so on. 738,977 parameters. This order rules out switches, since the fourth pool's switches have 128 channels, not
  160.
- ``unpool="switches"``: deconvolve to the switches' number of channels first, then unpool. Three quarters
  of the last unpooled map are zeros, so the last layer is a 3×3 convolution: each of its windows contains at least
  one complete 2×2 pooling window. 739,233 parameters.
"""

from typing import Literal

from scratchnet.layers import Conv2d, MaxPool2d, MaxUnpool2d, UpsampleNearest
from scratchnet.models.blocks import conv_relu, deconv_relu
from scratchnet.network import Network

FILTERS = (32, 64, 96, 128, 160)


def bloodcell(
    classes: int = 2,
    channels: int = 3,
    batch_norm: bool = False,
    unpool: Literal["nearest", "switches"] = "nearest",
    width: float = 1.0,
) -> Network:
    """Build the blood-cell net.

    Parameters
    ----------
    classes : int
        Number of classes: one sigmoid channel for two, a softmax for more.
    channels : int
        Number of image channels.
    batch_norm : bool
        Whether to add batch norm after every convolution except the last (the report has none).
    unpool : "nearest" or "switches"
        See the module docstring.
    width : float
        Factor on the number of filters of every layer.
    """
    filters = [max(1, round(f * width)) for f in FILTERS]
    net = Network(channels, stride=16)
    for i, (c_in, c_out) in enumerate(zip([channels, *filters], filters, strict=False), 1):
        conv_relu(net, f"conv{i}", c_in, c_out, batch_norm=batch_norm)
        if i < len(filters):
            net.add(f"pool{i}", MaxPool2d(2))
    for i in range(len(filters) - 1, 0, -1):
        c_in, c_out = filters[i], filters[i - 1]
        if unpool == "nearest":
            net.add(f"unpool{i}", UpsampleNearest(2))
            deconv_relu(net, f"deconv{i}", c_in, c_out, batch_norm=batch_norm)
        else:
            last = deconv_relu(net, f"deconv{i}", c_in, c_out, batch_norm=batch_norm)
            net.add(f"unpool{i}", MaxUnpool2d(), last, f"pool{i}.switches")
    kernel = 1 if unpool == "nearest" else 3
    net.add("score", Conv2d(filters[0], 1 if classes == 2 else classes, kernel, padding=kernel // 2))
    return net
