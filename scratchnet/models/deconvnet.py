"""DeconvNet (Noh, Hong, Han, "Learning deconvolution network for semantic segmentation", ICCV 2015, section 3).

A convolutional encoder reduces the whole image to one vector (fc6, fc7), and a mirrored decoder expands that vector
again. Each unpooling places values where the matching pooling found its maxima, and the deconvolutions that follow
densify the sparse map. The coarse shape appears first, the detail later.

    conv1 … conv5      VGG16's 13 convolutions, a 2×2 pool with switches after every block     224 → 7
    fc6, fc7           convolution 7×7 and 1×1, 4096                                           1
    fc6-deconv         transposed convolution 7×7, 512                                         7
    unpool5, deconv5   512, 512, 512                                                           14
    unpool4, deconv4   512, 512, 256                                                           28
    unpool3, deconv3   256, 256, 128                                                           56
    unpool2, deconv2   128, 64                                                                 112
    unpool1, deconv1   64, 64                                                                  224
    score              convolution 1×1 to the classes                                          224

Batch norm + ReLU follow every convolution and deconvolution, including fc6, fc7 and fc6-deconv, but not the score;
there is no dropout. 251,805,653 parameters with 21 classes, of which fc6, fc7 and fc6-deconv hold 222.3 million.

``deconvnet`` is the paper's network; ``width`` makes it narrower. ``deconvnet_small`` has the same structure
for 64–128 px images: four pools instead of five, blocks of two convolutions instead of three, and narrower layers.
"""

from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.layers.initialization import Initializer, gaussian
from scratchnet.models.blocks import Unpool, batch_norm_relu, conv_relu, deconv_relu, enlarge, scaled
from scratchnet.models.vgg import Finish, vgg_block, vgg_blocks
from scratchnet.network import Network

WIDE = 4096
"""Filters of fc6 and fc7."""

DECODER = {5: (512, 512, 512), 4: (512, 512, 256), 3: (256, 256, 128), 2: (128, 64), 1: (64, 64)}
"""Filters of the deconvolutions after each unpooling."""


def deconvnet(classes: int = 21, channels: int = 3, size: int = 224, width: float = 1.0) -> Network:
    """Build the paper's DeconvNet.

    The convolutions start from He's initialisation for ReLU layers (the paper uses VGG16's weights), the deconvolutions
    and the score from N(0, 0.01²). Batch norm starts with scale 1 and shift 0.001 and has ε = 10⁻⁹, as in the released
    network: with such a small ε the scale of the preceding weights does not matter, not even a scale of 0.01.

    Parameters
    ----------
    classes : int
        Number of classes, the output channels of the softmax.
    channels : int
        Number of image channels.
    size : int
        Height and width of the images, a multiple of 32; the network accepts only this size (paper: 224).
    width : float
        Factor on the number of filters of every layer.

    Raises
    ------
    ValueError
        If the size is not a multiple of 32.
    """
    if size % 32:
        raise ValueError(f"size is {size}; expected a multiple of 32")
    net = Network(channels, stride=32, fixed_size=(size, size))
    c = channels
    for number, c_in, filters in vgg_blocks(channels, width):
        vgg_block(net, number, c_in, filters, _batch_norm_relu)
        net.add(f"pool{number}", MaxPool2d(2))
        c = filters[-1]
    (wide,), start = scaled([WIDE], width), gaussian(0.01)
    last = _fully_connected(net, c, wide, size // 32, start, _batch_norm_relu)
    for number, mirrored in DECODER.items():
        net.add(f"unpool{number}", MaxUnpool2d(), last, f"pool{number}.switches")
        for i, c_out in enumerate(scaled(mirrored, width), 1):
            net.add(f"deconv{number}_{i}", ConvTranspose2d(c, c_out, 3, padding=1, initializer=start))
            last, c = _batch_norm_relu(net, f"deconv{number}_{i}", c_out), c_out
    net.add("score", Conv2d(c, classes, 1, initializer=start))
    return net


def _fully_connected(net: Network, c: int, wide: int, size: int, start: Initializer, finish: Finish) -> str:
    """Add fc6, fc7 and fc6-deconv on a map of ``size × size`` pixels and ``c`` channels; return the last step's name.

    The fully connected layers are written as convolutions: fc6's kernel is as large as the map, so its output is 1×1.
    """
    net.add("fc6", Conv2d(c, wide, size))
    finish(net, "fc6", wide)
    net.add("fc7", Conv2d(wide, wide, 1))
    finish(net, "fc7", wide)
    net.add("fc6-deconv", ConvTranspose2d(wide, c, size, initializer=start))
    return finish(net, "fc6-deconv", c)


def _batch_norm_relu(net: Network, name: str, channels: int) -> str:
    """Add the paper's batch norm and ReLU; return the last step's name."""
    net.add(f"{name}_bn", BatchNorm2d(channels, eps=1e-9, shift=0.001))
    return net.add(f"{name}_relu", ReLU())


def deconvnet_small(
    classes: int = 2, channels: int = 3, size: int = 64, width: int = 16, unpool: Unpool = "switches"
) -> Network:
    """Build a small DeconvNet for ``size × size`` images.

    Parameters
    ----------
    classes : int
        Number of classes, the output channels of the softmax.
    channels : int
        Number of image channels.
    size : int
        Height and width of the images, a multiple of 16; the network accepts only this size, as fc6 covers the map.
    width : int
        Filters of the first block; the others have 2, 4 and 8 times as many, fc6 and fc7 16 times as many.
    unpool : "switches", "nearest" or "transposed"
        Unpool with switches, as the paper does, or, for comparison, repeat values or learn the upsampling.

    Raises
    ------
    ValueError
        If the size is not a multiple of 16 or is below 32.
    """
    if size % 16 or size < 32:
        raise ValueError(f"size is {size}; expected a multiple of 16, at least 32")
    net = Network(channels, stride=16, fixed_size=(size, size))
    filters = [width, 2 * width, 4 * width, 8 * width]
    for i, (c_in, c_out) in enumerate(zip([channels, *filters], filters, strict=False), 1):
        conv_relu(net, f"conv{i}_1", c_in, c_out)
        conv_relu(net, f"conv{i}_2", c_out, c_out)
        net.add(f"pool{i}", MaxPool2d(2))
    start = gaussian((2 / (16 * width)) ** 0.5)
    last = _fully_connected(net, filters[-1], 16 * width, size // 16, start, batch_norm_relu)
    for i in range(len(filters), 0, -1):
        c, c_out = filters[i - 1], filters[max(0, i - 2)]
        enlarge(net, f"unpool{i}", unpool, c, last, f"pool{i}")
        deconv_relu(net, f"deconv{i}_1", c, c)
        last = deconv_relu(net, f"deconv{i}_2", c, c_out)
    net.add("score", Conv2d(width, classes, 1))
    return net
