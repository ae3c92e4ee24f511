"""The squares net: a student's simplification of SegNet-Basic for images of one square.

SegNet-Basic (Badrinarayanan, Kendall, Cipolla 2015) with two blocks instead of four:

    LRN → 2 × [conv 7×7 64, batch norm, ReLU, pool] → 2 × [unpool, conv 7×7 64, batch norm] → conv 1×1 to the classes

Only the switches pass from the encoder to the decoder, and the decoder has no ReLU. 611,906 parameters in the
convolutions.
"""

from scratchnet.layers import BatchNorm2d, Conv2d, LocalResponseNorm, MaxPool2d, MaxUnpool2d
from scratchnet.models.blocks import conv_relu
from scratchnet.network import Network


def squares(classes: int = 2, channels: int = 3, width: int = 64) -> Network:
    """Build the squares net.

    Parameters
    ----------
    classes : int
        Number of classes, the output channels of the softmax.
    channels : int
        Number of image channels.
    width : int
        Number of filters of every convolution.
    """
    net = Network(channels, stride=4)
    net.add("lrn", LocalResponseNorm(5, 1e-4, 0.75))
    conv_relu(net, "conv1", channels, width, kernel=7)
    net.add("pool1", MaxPool2d(2))
    conv_relu(net, "conv2", width, width, kernel=7)
    last = net.add("pool2", MaxPool2d(2))
    for i in (2, 1):
        net.add(f"unpool{i}", MaxUnpool2d(), last, f"pool{i}.switches")
        net.add(f"decode{i}", Conv2d(width, width, 7, padding=3))
        last = net.add(f"decode{i}_bn", BatchNorm2d(width))
    net.add("score", Conv2d(width, classes, 1))
    return net
