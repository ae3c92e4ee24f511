"""A dilated FCN (Yu and Koltun, "Multi-scale context aggregation by dilated convolutions", ICLR 2016).

Pooling enlarges the receptive field but loses position. A dilated kernel, whose taps are d pixels apart, has the same
receptive field without pooling. The front end is therefore VGG16 without pool4 and pool5: where a pool would halve the
map, the dilation of the following kernels doubles instead, and the scores have 1/8 of the image's size, not 1/32. A
context module then enlarges the receptive field further without losing resolution.

    conv1 … conv3   VGG16, ReLU, pools                                    1/8
    conv4           512, 512, 512
    conv5           512, 512, 512, dilation 2
    fc6             convolution 7×7, dilation 4, 4096, ReLU, dropout ½
    fc7             convolution 1×1, 4096, ReLU, dropout ½
    score_fr        convolution 1×1 to the classes
    context         3×3 with dilation 1, 1, 2, 4, 8, 16, 1, as many channels as classes, ReLU
    context_score   1×1
    upscore         bilinear ×8, cropped to the image

134,346,581 parameters in the front end with 21 classes, as many as FCN-32s, and 64 times the square of the number of
classes (plus biases) in the context module, whose layers start as the identity. The released front end pads the image
by reflection and its layers not at all; here every layer is zero-padded and preserves the size, so images of any size
are accepted.
"""

from scratchnet.layers import BilinearTranspose2d, Conv2d, Crop, Dropout, MaxPool2d, ReLU
from scratchnet.layers.initialization import identity
from scratchnet.models.blocks import scaled
from scratchnet.models.vgg import relu, vgg_block, vgg_blocks
from scratchnet.network import Network

CONTEXT = (1, 1, 2, 4, 8, 16, 1)
"""Dilation of the context module's 3×3 layers (the paper's table 1, basic form)."""


def dilated_fcn(classes: int = 21, channels: int = 3, width: float = 1.0) -> Network:
    """Build the dilated FCN.

    Parameters
    ----------
    classes : int
        Number of classes, the output channels of the softmax.
    channels : int
        Number of image channels.
    width : float
        Factor on the number of filters of every front-end layer.
    """
    net = Network(channels)
    c = channels
    for number, c_in, filters in vgg_blocks(channels, width):
        vgg_block(net, number, c_in, filters, relu, dilation=2 if number == 5 else 1)
        if number <= 3:
            net.add(f"pool{number}", MaxPool2d(2, ceil_mode=True))
        c = filters[-1]
    (wide,) = scaled([4096], width)
    net.add("fc6", Conv2d(c, wide, 7, padding=12, dilation=4))
    net.add("fc6_relu", ReLU())
    net.add("fc6_drop", Dropout(0.5))
    net.add("fc7", Conv2d(wide, wide, 1))
    net.add("fc7_relu", ReLU())
    net.add("fc7_drop", Dropout(0.5))
    net.add("score_fr", Conv2d(wide, classes, 1))
    for i, d in enumerate(CONTEXT, 1):
        net.add(f"context{i}", Conv2d(classes, classes, 3, padding=d, dilation=d, initializer=identity))
        net.add(f"context{i}_relu", ReLU())
    net.add("context_score", Conv2d(classes, classes, 1, initializer=identity))
    net.add("upscore", BilinearTranspose2d(8))
    net.add("score", Crop(4), "upscore", "input")
    return net
