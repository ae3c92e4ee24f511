"""The pixel classifier that slides over the image, and what makes it fast.

Before FCN an image was segmented by a classifier: cut a window round a pixel, ask which class its centre has, go on to
the next pixel (Ciresan et al., "Deep neural networks segment neuronal membranes", 2012). Neighbouring windows share
almost all of their pixels, so almost all of the work is done over and over. Seen as convolutions, the classifier runs
over the whole image at once and gives the same answers.

                 kernel, filters    step in a window    spread over an image (dilation)
    conv1        3×3, 32            1                   1
    conv2        3×3, 32            2                   1
    conv3        3×3, 64            1                   2
    conv4        3×3, 64            2                   2
    conv5        3×3, 128           1                   4
    conv6        3×3, 128           2                   4
    fc7          5×5, 256           1                   8
    score        1×1 to the classes

A window of 61×61 pixels becomes 59, 29, 27, 13, 11, 5 and then one vector: fc7 is a fully connected layer. In the
window form (``form="window"``) a layer with step 2 visits every second pixel. Over an image (``form="image"``) every
pixel is the centre of some window, so each layer takes every step, and the layers behind a step of 2 find their
neighbours twice as far apart: dilation (Long, Shelhamer, Darrell 2015, section 3.2, "filter rarefaction"; à trous).
Both forms have the same parameters under the same names. One window costs 44 million products, and with a window for
each pixel so does every pixel; in one pass over an image of 256×256 a pixel costs 1.2 million.
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
"""Name, kernel, filters and step."""


def sliding_window(
    classes: int = 2, channels: int = 3, width: float = 1.0, form: Literal["image", "window"] = "image"
) -> Network:
    """Build the pixel classifier.

    Parameters
    ----------
    classes : int
        Output channels, softmax.
    channels : int
        Of the image.
    width : float
        Multiplies the numbers of filters.
    form : "image" or "window"
        Whether it labels every pixel of an image, framed by 30 pixels of its reflection, or the centre of one window of
        61×61 pixels. Only the first can be trained; the second takes its parameters.
    """
    whole = form == "image"
    net = Network(channels, border=WINDOW // 2) if whole else Network(channels, fixed_size=(WINDOW, WINDOW))
    spread, c_in = 1, channels
    for (name, kernel, _, step), c in zip(LAYERS, scaled((f for _, _, f, _ in LAYERS), width), strict=True):
        net.add(name, Conv2d(c_in, c, kernel, dilation=spread) if whole else Conv2d(c_in, c, kernel, step))
        relu(net, name, c)
        spread, c_in = spread * step, c
    net.add("score", Conv2d(c_in, classes, 1))
    return net
