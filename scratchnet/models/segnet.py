"""SegNet and SegNet-Basic (Badrinarayanan, Kendall, Cipolla, arXiv 1511.00561, section 3).

SegNet is VGG16's thirteen convolutions without its fully connected layers, followed by their mirror image. Only
the switches pass from the encoder to the decoder: two bits per window.

    conv1 … conv5      VGG16, batch norm + ReLU, pool with switches    360×480 → 12×15
    unpool5, decode5   512, 512, 512                                   23×30
    unpool4, decode4   512, 512, 256                                   45×60
    unpool3, decode3   256, 256, 128                                   90×120
    unpool2, decode2   128, 64                                         180×240
    unpool1, decode1   64                                              360×480
    score              convolution 3×3 to the classes, without batch norm and ReLU

29,449,355 parameters with 11 classes. SegNet-Basic is a small version for experiments:

    LRN → 4 × [conv 7×7 64, batch norm, ReLU, pool] → 4 × [unpool, conv 7×7 64, batch norm] → conv 1×1 to the classes

Its decoder has no ReLU; 1,415,563 parameters in the convolutions and 1,024 in batch norm with 11 classes.

Pooling uses ceil mode, as in Caffe: the last, incomplete window counts, so 360 rows become 180, 90, 45, 23, 12.
Unpooling restores the input size of its pool, 45 from 23 and not 46, so both nets accept images of any size.

To measure the value of the switches, train the same net without them: ``unpool="nearest"`` repeats each value over its
window, ``unpool="transposed"`` learns a 2×2 transposed convolution, which adds 4·c² parameters per unpooling.

``dropout=True`` is Bayesian SegNet (Kendall, Badrinarayanan, Cipolla, arXiv 1511.02680, section 4): dropout ½ after the
central encoders and decoders, six of them in SegNet (blocks 3 to 5) and four in SegNet-Basic (blocks 3 and 4). At test
time it stays active, and the variance of several passes shows where the network is unsure
(:mod:`scratchnet.inference.uncertainty`).
"""

from scratchnet.layers import BatchNorm2d, Conv2d, Dropout, LocalResponseNorm, MaxPool2d
from scratchnet.models.blocks import Unpool, batch_norm_relu, conv_relu, enlarge, scaled
from scratchnet.models.vgg import vgg_block, vgg_blocks
from scratchnet.network import Network

DECODER = {5: (512, 512, 512), 4: (512, 512, 256), 3: (256, 256, 128), 2: (128, 64), 1: (64,)}
"""Filters after each unpooling; the second convolution of block 1 is the score."""

CENTRAL = 3
"""First of the blocks that dropout follows, in the encoder and in the decoder."""


def segnet(
    classes: int = 11, channels: int = 3, width: float = 1.0, unpool: Unpool = "switches", dropout: bool = False
) -> Network:
    """Build SegNet.

    Parameters
    ----------
    classes : int
        Number of classes, the output channels of the softmax.
    channels : int
        Number of image channels.
    width : float
        Factor on the number of filters of every layer.
    unpool : "switches", "nearest" or "transposed"
        See the module docstring.
    dropout : bool
        Whether to apply dropout ½ after the central encoders and decoders, as Bayesian SegNet does.
    """
    net = Network(channels)
    last, c = "input", channels
    for number, c_in, filters in vgg_blocks(channels, width):
        vgg_block(net, number, c_in, filters, batch_norm_relu)
        last, c = net.add(f"pool{number}", MaxPool2d(2, ceil_mode=True)), filters[-1]
        last = _drop(net, f"encdrop{number}", last, dropout and number >= CENTRAL)
    for number, wide in DECODER.items():
        enlarge(net, f"unpool{number}", unpool, c, last, f"pool{number}")
        for i, c_out in enumerate(scaled(wide, width), 1):
            last, c = conv_relu(net, f"decode{number}_{i}", c, c_out), c_out
        last = _drop(net, f"decdrop{number}", last, dropout and number >= CENTRAL)
    net.add("score", Conv2d(c, classes, 3, padding=1))
    return net


def segnet_basic(
    classes: int = 11, channels: int = 3, width: float = 1.0, unpool: Unpool = "switches", dropout: bool = False
) -> Network:
    """Build SegNet-Basic; parameters as in :func:`segnet`."""
    net = Network(channels)
    (c,) = scaled([64], width)
    net.add("lrn", LocalResponseNorm(5, 1e-4, 0.75))
    last = "lrn"
    for i in (1, 2, 3, 4):
        conv_relu(net, f"conv{i}", channels if i == 1 else c, c, kernel=7)
        last = net.add(f"pool{i}", MaxPool2d(2, ceil_mode=True))
        last = _drop(net, f"encdrop{i}", last, dropout and i >= CENTRAL)
    for i in (4, 3, 2, 1):
        enlarge(net, f"unpool{i}", unpool, c, last, f"pool{i}")
        net.add(f"decode{i}", Conv2d(c, c, 7, padding=3))
        last = net.add(f"decode{i}_bn", BatchNorm2d(c))
        last = _drop(net, f"decdrop{i}", last, dropout and i >= CENTRAL)
    net.add("score", Conv2d(c, classes, 1))
    return net


def _drop(net: Network, name: str, last: str, wanted: bool) -> str:
    """Add dropout ½ if it is wanted; return the last step's name."""
    return net.add(name, Dropout(0.5)) if wanted else last
