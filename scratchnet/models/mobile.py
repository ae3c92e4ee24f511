"""A U-shaped net with a MobileNet encoder (Howard et al., "MobileNets", 2017, table 1; the decoder after U-Net).

A 3×3 convolution mixes neighbours and channels at once and costs 9·c_in·c_out multiply-adds per pixel. A depthwise
separable convolution does the two in turn: a separate 3×3 kernel for each channel (depthwise), then a 1×1 convolution
over the channels (pointwise). It costs 9·c_in + c_in·c_out multiply-adds, eight to nine times fewer.

    conv1       3×3 stride 2, 32                                          1/2
    sep2 … 14   separable: 64 | 128 ↓, 128 | 256 ↓, 256 | 512 ↓, 512 × 5 | 1024 ↓, 1024    ↓: stride 2, to 1/32
    up4 … up1   2×2 transposed convolution to the channels of the skip, the map before the matching ↓; concatenation
                with it; separable to as many channels: 512, 256, 128, 64 1/16 … 1/2
    up0         2×2 transposed convolution, 32                            1/1
    score       convolution 1×1 to the classes

Batch norm + ReLU follow every convolution of either kind, which therefore has no bias. 3,206,976 parameters in the
encoder; ``width`` is MobileNet's width multiplier α. A strided convolution reduces 45 rows to 23, its counterpart
upsamples 23 to 46 and a crop leaves 45, so images of any size are accepted.
"""

from scratchnet.layers import Concatenate, Conv2d, Crop
from scratchnet.models.blocks import batch_norm_relu, scaled, up_convolution
from scratchnet.network import Network

ENCODER = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Filters and stride of the separable convolutions."""


def mobile_unet(classes: int = 2, channels: int = 3, width: float = 1.0) -> Network:
    """Build the U-shaped net.

    Parameters
    ----------
    classes : int
        Number of classes, the output channels of the softmax.
    channels : int
        Number of image channels.
    width : float
        Factor on the number of filters of every layer.
    """
    net = Network(channels)
    first, *filters = scaled((32, *(f for f, _ in ENCODER)), width)
    net.add("conv1", Conv2d(channels, first, 3, 2, 1, bias=False))
    last, c = batch_norm_relu(net, "conv1", first), first
    skips: list[tuple[str, int]] = []
    for i, (c_out, (_, stride)) in enumerate(zip(filters, ENCODER, strict=True), 2):
        if stride == 2:
            skips.append((last, c))
        last, c = _separable(net, f"sep{i}", c, c_out, stride), c_out

    for i in range(len(skips), 0, -1):
        skip, c_out = skips[i - 1]
        _up(net, f"up{i}", c, c_out, skip)
        net.add(f"cat{i}", Concatenate(), f"up{i}_crop", skip)
        _separable(net, f"decode{i}", 2 * c_out, c_out, 1)
        c = c_out
    _up(net, "up0", c, first, "input")
    net.add("score", Conv2d(first, classes, 1))
    return net


def _separable(net: Network, name: str, c_in: int, c_out: int, stride: int) -> str:
    """Add a depthwise separable convolution; return the last step's name."""
    net.add(f"{name}_depthwise", Conv2d(c_in, c_in, 3, stride, 1, groups=c_in, bias=False))
    batch_norm_relu(net, f"{name}_depthwise", c_in)
    net.add(f"{name}_pointwise", Conv2d(c_in, c_out, 1, bias=False))
    return batch_norm_relu(net, f"{name}_pointwise", c_out)


def _up(net: Network, name: str, c_in: int, c_out: int, like: str) -> None:
    """Double the map and crop it to the size of the step ``like``."""
    net.add(name, up_convolution(c_in, c_out, bias=False))
    batch_norm_relu(net, name, c_out)
    net.add(f"{name}_crop", Crop(0), f"{name}_relu", like)
