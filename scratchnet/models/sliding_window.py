"""The sliding-window pixel classifier, and its fast form as a convolutional network.

Before FCN, images were segmented by a classifier: cut out a window around a pixel, predict the class of its centre,
continue with the next pixel (Ciresan et al., "Deep neural networks segment neuronal membranes", 2012). Neighbouring
windows share almost all of their pixels, so almost all of the work is repeated. Written as convolutions, the classifier
runs over the whole image at once and gives the same answers.

                 kernel, filters    stride in a window  dilation over an image
    conv1        3×3, 32            1                   1
    conv2        3×3, 32            2                   1
    conv3        3×3, 64            1                   2
    conv4        3×3, 64            2                   2
    conv5        3×3, 128           1                   4
    conv6        3×3, 128           2                   4
    fc7          5×5, 256           1                   8
    score        1×1 to the classes

A window of 61×61 pixels becomes 59, 29, 27, 13, 11, 5 and then one vector: fc7 is a fully connected layer. In the
window form (``form="window"``) a layer with stride 2 visits every second pixel. Over an image (``form="image"``) every
pixel is the centre of a window, so every layer has stride 1, and the layers after a former stride of 2 are dilated by
another factor of 2 (Long, Shelhamer, Darrell 2015, section 3.2, "filter rarefaction"; à trous). Both forms have the
same parameters under the same names. One window costs 44 million multiply-adds, and so does each pixel if it has its
own window; in one pass over a 256×256 image a pixel costs 1.2 million.
"""

from typing import Literal

from scratchnet.layers import Conv2d
from scratchnet.models.blocks import scaled
from scratchnet.models.vgg import relu
from scratchnet.network import Network

WINDOW = 61
"""Side of the window, in pixels."""

LAYERS = (
    ("conv1", 3, 32, 1),
    ("conv2", 3, 32, 2),
    ("conv3", 3, 64, 1),
    ("conv4", 3, 64, 2),
    ("conv5", 3, 128, 1),
    ("conv6", 3, 128, 2),
    ("fc7", 5, 256, 1),
)
"""Name, kernel, filters and stride of each layer."""


def sliding_window(
    classes: int = 2, channels: int = 3, width: float = 1.0, form: Literal["image", "window"] = "image"
) -> Network:
    """Build the pixel classifier.

    Parameters
    ----------
    classes : int
        Number of classes, the output channels of the softmax.
    channels : int
        Number of image channels.
    width : float
        Factor on the number of filters of every layer.
    form : "image" or "window"
        Whether to label every pixel of an image, padded by 30 pixels of reflection, or the centre of one 61×61 window.
        Only the image form can be trained; the window form uses its parameters.
    """
    whole = form == "image"
    net = Network(channels, valid_margin=WINDOW // 2) if whole else Network(channels, fixed_size=(WINDOW, WINDOW))
    spread, c_in = 1, channels
    for (name, kernel, _, step), c in zip(LAYERS, scaled((f for _, _, f, _ in LAYERS), width), strict=True):
        net.add(name, Conv2d(c_in, c, kernel, dilation=spread) if whole else Conv2d(c_in, c, kernel, step))
        relu(net, name, c)
        spread, c_in = spread * step, c
    net.add("score", Conv2d(c_in, classes, 1))
    return net
