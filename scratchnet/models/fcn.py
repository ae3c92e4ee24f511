"""FCN-32s, FCN-16s and FCN-8s (Long, Shelhamer, Darrell, "Fully convolutional networks", CVPR 2015, section 4).

A classifier's fully connected layers are convolutions whose kernel is as large as the map. Written this way, VGG16
accepts an image of any size and returns a map of scores, one for every 32 pixels. FCN-32s upsamples that map in one
step. FCN-16s and FCN-8s upsample it by 2, add the scores of a shallower map, with less context and finer positions, and
continue from there.

    conv1 … conv5   VGG16, ReLU, pools; conv1_1 is padded by 100
    fc6, fc7        convolution 7×7 and 1×1, 4096, ReLU, dropout ½
    score_fr        convolution 1×1 to the classes
    FCN-32s:        upscore ×32, cropped at 19
    FCN-16s:        upscore2 ×2, + score_pool4 cropped at 5, upscore16 ×16 cropped at 27
    FCN-8s:         upscore2 ×2, + score_pool4 cropped at 5, upscore_pool4 ×2, + score_pool3 cropped at 9, upscore8 ×8
                    cropped at 31

134,346,581 parameters up to score_fr with 21 classes; the kernel of upscore has another 1,806,336.

**Where the crops come from.** Cell i of a map with stride s is centred on image pixel ``s·i + (s − 1)/2 − 99``: the
centre of s pixels, shifted by the padding of 100, of which a 3×3 convolution uses up one. fc6's 7×7 windows are centred
three cells further in, so cell i of score_fr is centred on ``32·i + 12.5``. A transposed convolution with kernel 2f and
stride f centres cell i on pixel ``f·i + f − ½`` of its output, so for f = 32 output pixel u corresponds to image pixel
u − 19: crop at 19. The same calculation for the other maps gives 5, 27, 9 and 31.

``padding="same"`` is for small images, which a border of 100 would make many times larger: conv1_1 is padded by 1 and
fc6 by 3, all maps are aligned with the image, and the crops remove the overhang of the upsampling kernels (1 at factor
2, f/2 at the end). It is not in the paper.

**Upsampling** starts as bilinear interpolation. The released nets keep it fixed (``upsampling="fixed"``); the paper's
text trains the ×2 steps and fixes the last one (``"paper"``); ``"learned"`` trains all of them. Score layers start at
0. The paper trains 32s, then 16s from its weights, then 8s; the released ``at_once`` form of 8s trains all three at
once, with pool4 multiplied by 0.01 and pool3 by 0.0001 to bring the three maps to the same scale.

The paper's nets start from VGG16's weights and have no batch norm; ``batch_norm`` is for training from scratch.
"""

from typing import Literal, TypeAlias

from scratchnet.layers import Add, BilinearTranspose2d, Conv2d, ConvTranspose2d, Crop, Dropout, MaxPool2d, Scale
from scratchnet.layers.base import Layer
from scratchnet.layers.initialization import bilinear, constant
from scratchnet.models.blocks import batch_norm_relu, scaled
from scratchnet.models.vgg import relu, vgg_block, vgg_blocks
from scratchnet.network import Network

Padding: TypeAlias = Literal["paper", "same"]
Upsampling: TypeAlias = Literal["fixed", "paper", "learned"]


def fcn32s(
    classes: int = 21,
    channels: int = 3,
    width: float = 1.0,
    padding: Padding = "paper",
    upsampling: Upsampling = "fixed",
    batch_norm: bool = False,
) -> Network:
    """Build FCN-32s.

    Parameters
    ----------
    classes : int
        Number of classes, the output channels of the softmax.
    channels : int
        Number of image channels.
    width : float
        Factor on the number of filters of every layer.
    padding : "paper" or "same"
        Padding of 100 at conv1_1, or the padding that aligns every map with the image.
    upsampling : "fixed", "paper" or "learned"
        Which upsampling layers are trained: none, all but the last, all.
    batch_norm : bool
        Whether to add batch norm after every convolution except the scores, for training without VGG16's weights
        (the paper has none).
    """
    net = Network(channels)
    _encoder(net, classes, width, padding, batch_norm)
    _last(net, "upscore", classes, 32, padding, 19, upsampling)
    return net


def fcn16s(
    classes: int = 21,
    channels: int = 3,
    width: float = 1.0,
    padding: Padding = "paper",
    upsampling: Upsampling = "fixed",
    batch_norm: bool = False,
) -> Network:
    """Build FCN-16s; parameters as in :func:`fcn32s`."""
    net = Network(channels)
    filters = _encoder(net, classes, width, padding, batch_norm)
    net.add("upscore2", _upsample(classes, 2, upsampling != "fixed"))
    _fuse(net, "upscore2", "pool4", filters[4], classes, padding, 5)
    _last(net, "upscore16", classes, 16, padding, 27, upsampling)
    return net


def fcn8s(
    classes: int = 21,
    channels: int = 3,
    width: float = 1.0,
    padding: Padding = "paper",
    upsampling: Upsampling = "fixed",
    at_once: bool = False,
    batch_norm: bool = False,
) -> Network:
    """Build FCN-8s; parameters as in :func:`fcn32s`, and ``at_once`` for the form trained in one stage."""
    net = Network(channels)
    filters = _encoder(net, classes, width, padding, batch_norm)
    net.add("upscore2", _upsample(classes, 2, upsampling != "fixed"))
    _fuse(net, "upscore2", "pool4", filters[4], classes, padding, 5, 0.01 if at_once else None)
    net.add("upscore_pool4", _upsample(classes, 2, upsampling != "fixed"))
    _fuse(net, "upscore_pool4", "pool3", filters[3], classes, padding, 9, 0.0001 if at_once else None)
    _last(net, "upscore8", classes, 8, padding, 31, upsampling)
    return net


def _encoder(net: Network, classes: int, width: float, padding: Padding, batch_norm: bool) -> dict[int, int]:
    """Add all layers up to score_fr; return the channels of the five pools."""
    found, finish = {}, batch_norm_relu if batch_norm else relu
    for number, c_in, filters in vgg_blocks(net.channels, width):
        vgg_block(net, number, c_in, filters, finish, 100 if number == 1 and padding == "paper" else 1)
        net.add(f"pool{number}", MaxPool2d(2, ceil_mode=True))
        found[number] = filters[-1]
    (wide,) = scaled([4096], width)
    net.add("fc6", Conv2d(found[5], wide, 7, padding=0 if padding == "paper" else 3))
    finish(net, "fc6", wide)
    net.add("fc6_drop", Dropout(0.5))
    net.add("fc7", Conv2d(wide, wide, 1))
    finish(net, "fc7", wide)
    net.add("fc7_drop", Dropout(0.5))
    net.add("score_fr", Conv2d(wide, classes, 1, initializer=constant(0)))
    return found


def _upsample(classes: int, factor: int, learned: bool) -> Layer:
    """Return a bilinear transposed convolution with kernel 2f and stride f; if learned, it mixes the classes."""
    if learned:
        return ConvTranspose2d(classes, classes, 2 * factor, factor, bias=False, initializer=bilinear)
    return BilinearTranspose2d(factor)


def _fuse(
    net: Network,
    deep: str,
    pool: str,
    channels: int,
    classes: int,
    padding: Padding,
    offset: int,
    scale: float | None = None,
) -> None:
    """Add the scores of a shallower map to the upsampled scores of a deeper map."""
    shallow, source = f"score_{pool}", pool
    if scale is not None:
        source = net.add(f"scale_{pool}", Scale(scale), pool)
    net.add(shallow, Conv2d(channels, classes, 1, initializer=constant(0)), source)
    if padding == "paper":  # the shallow map has more of the border of 100 than the deep one
        shallow = net.add(f"{shallow}c", Crop(offset), shallow, deep)
    else:
        deep = net.add(f"{deep}c", Crop(1), deep, shallow)
    net.add(f"fuse_{pool}", Add(), deep, shallow)


def _last(
    net: Network, name: str, classes: int, factor: int, padding: Padding, offset: int, upsampling: Upsampling
) -> None:
    """Upsample the scores to the image's size."""
    net.add(name, _upsample(classes, factor, upsampling == "learned"))
    net.add("score", Crop(offset if padding == "paper" else factor // 2), name, "input")
