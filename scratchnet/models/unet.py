"""U-Net (Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image segmentation", 2015).

The encoder is the left arm of the U, the decoder the right one, and at every level the encoder's map is concatenated
with the decoder's: the deep map encodes the classes, the shallow one their exact positions.

    conv1 64, 64 → conv2 128, 128 → conv3 256, 256 → conv4 512, 512 → conv5 1024, 1024    2×2 pools between them
    up4 512, crop4, decode4 512, 512 → up3 256 … → up2 128 … → up1 64, decode1 64, 64 → score 1×1

Every convolution is 3×3 with ReLU; ``up`` is a 2×2 transposed convolution with stride 2 that halves the channels
(with ReLU, as in the released network; the paper's text names none); dropout ½ ends the encoder. 23 convolutions,
31,030,658 parameters with one input channel and two classes. Weights start from N(0, 2/N), where N is the number of
inputs of one output value.

``unet`` is the paper's network: convolutions are unpadded, each removes one pixel on every side, and 572×572 becomes
388×388, 92 pixels less on every side (``valid_margin``). Training and inference pad images by reflection; large images
are cut into tiles that include their true surroundings (the overlap-tile strategy). ``unet_same`` pads its convolutions
so that the output has the image's size; this is the more common form.

Both accept images of any size. Pools use ceil mode, which makes no difference for even sizes as in the paper; for odd
sizes the upsampled map is one pixel too large and is cropped.
"""

from scratchnet.layers import Concatenate, Conv2d, Crop, Dropout, MaxPool2d
from scratchnet.models.blocks import batch_norm_relu, conv_relu, scaled, up_convolution
from scratchnet.models.vgg import relu
from scratchnet.network import Network

DEEPEST = 8
"""Maximum number of pools: eight reduce 256 pixels to one."""


def unet(
    classes: int = 2,
    channels: int = 3,
    width: float = 1.0,
    depth: int = 4,
    batch_norm: bool = False,
    dropout: bool = True,
) -> Network:
    """Build the paper's U-Net, whose output is smaller than its input.

    Parameters
    ----------
    classes : int
        Number of classes, the output channels of the softmax.
    channels : int
        Number of image channels.
    width : float
        Factor on the number of filters of every layer.
    depth : int
        Number of pools. The border of the unpadded network is ``6·2ᵈ − 4`` pixels wide: 92 for the paper's 4, 44 for
        3, 20 for 2.
    batch_norm : bool
        Whether to add batch norm after every convolution (the paper has none).
    dropout : bool
        Whether to apply dropout ½ at the end of the encoder.

    Raises
    ------
    ValueError
        If there are more than eight pools.
    """
    return _unet(Network(channels, valid_margin=6 * 2**depth - 4), classes, width, depth, batch_norm, dropout)


def unet_same(
    classes: int = 2,
    channels: int = 3,
    width: float = 1.0,
    depth: int = 4,
    batch_norm: bool = False,
    dropout: bool = True,
) -> Network:
    """Build the padded U-Net, whose output has the size of its input; parameters as in :func:`unet`."""
    return _unet(Network(channels), classes, width, depth, batch_norm, dropout)


def _unet(net: Network, classes: int, width: float, depth: int, batch_norm: bool, dropout: bool) -> Network:
    if depth > DEEPEST:
        raise ValueError(f"depth is {depth}; expected 1 to {DEEPEST} pools")
    padding = 0 if net.valid_margin else 1
    filters = scaled((64 * 2**level for level in range(depth + 1)), width)
    finish = batch_norm_relu if batch_norm else relu

    def pair(name: str, c_in: int, c_out: int) -> str:
        conv_relu(net, f"{name}_1", c_in, c_out, batch_norm=batch_norm, padding=padding)
        return conv_relu(net, f"{name}_2", c_out, c_out, batch_norm=batch_norm, padding=padding)

    skips: dict[int, str] = {}
    last = "input"
    for level, (c_in, c) in enumerate(zip([net.channels, *filters], filters, strict=False), 1):
        last = pair(f"conv{level}", c_in, c)
        if dropout and level >= depth:
            last = net.add(f"drop{level}", Dropout(0.5))
        if level <= depth:
            skips[level] = last
            net.add(f"pool{level}", MaxPool2d(2, ceil_mode=True))

    for level in range(depth, 0, -1):
        below, c = filters[level], filters[level - 1]
        net.add(f"up{level}", up_convolution(below, c), last)
        up, skip = finish(net, f"up{level}", c), skips[level]
        if net.valid_margin:
            skip = net.add(f"crop{level}", Crop(_lost_below(level, depth)), skip, up)
        else:
            up = net.add(f"crop{level}", Crop(0), up, skip)
        net.add(f"cat{level}", Concatenate(), up, skip)
        last = pair(f"decode{level}", 2 * c, c)
    net.add("score", Conv2d(filters[0], classes, 1))
    if net.valid_margin:
        net.add("whole", Crop(0, margin=net.valid_margin), "score", "input")
    return net


def _lost_below(level: int, depth: int) -> int:
    """Return the crop offset of the skip at ``level`` in pixels per side: 4, 16, 40, 88 from the deepest level up.

    Two convolutions at the level below remove 2 of its pixels, which are 4 of this level's. The loss at deeper levels
    counts twice, and so do the 2 pixels that the decoder's convolutions remove there.
    """
    lost = 4
    for _ in range(depth - level):
        lost = 2 * (lost + 4)
    return lost
