"""DeconvNet (Noh, Hong, Han, "Learning deconvolution network for semantic segmentation", ICCV 2015, section 3).

A convolution network looks at the whole image and boils it down to one vector (fc6, fc7); its mirror image unfolds that
vector again. Every unpooling puts values back where the matching pooling found its maxima, and the deconvolutions
behind it fill the sparse map. Coarse shape comes first, detail later.

``deconvnet_small`` has the paper's structure for 64–128 px images: blocks of convolutions between pools, fc6 and fc7 as
convolutions, fc6's mirror as a transposed convolution, switch unpooling, and batch norm + ReLU behind every
convolution and deconvolution. It has four pools where the paper has five, blocks of two where the paper has three,
and narrower layers.
"""

from scratchnet.initialization import gaussian
from scratchnet.layers import Conv2d, ConvTranspose2d, MaxPool2d, MaxUnpool2d
from scratchnet.models.blocks import batch_norm_relu, conv_relu, deconv_relu
from scratchnet.network import Network


def deconvnet_small(classes: int = 2, channels: int = 3, size: int = 64, width: int = 16) -> Network:
    """Build a DeconvNet for ``size × size`` images.

    Parameters
    ----------
    classes : int
        Output channels, softmax.
    channels : int
        Of the image.
    size : int
        Height and width of the images, a multiple of 16. fc6 sees all of the last map at once, so this is the one
        size that the network takes; larger images are cut into tiles.
    width : int
        Filters of the first block; the others have 2, 4 and 8 times as many, fc6 and fc7 16 times.

    Raises
    ------
    ValueError
        When the size is no multiple of 16.
    """
    if size % 16 or size < 32:
        raise ValueError(f"size is {size}; expected a multiple of 16, at least 32")
    net = Network(channels, stride=16, fixed_size=(size, size))
    filters = [width, 2 * width, 4 * width, 8 * width]
    for i, (c_in, c_out) in enumerate(zip([channels, *filters], filters, strict=False), 1):
        conv_relu(net, f"conv{i}_1", c_in, c_out)
        conv_relu(net, f"conv{i}_2", c_out, c_out)
        net.add(f"pool{i}", MaxPool2d(2))

    # The fully connected layers, written as convolutions: fc6's kernel is as large as the map, so its output is 1×1.
    kernel, wide = size // 16, 16 * width
    net.add("fc6", Conv2d(filters[-1], wide, kernel))
    batch_norm_relu(net, "fc6", wide)
    net.add("fc7", Conv2d(wide, wide, 1))
    batch_norm_relu(net, "fc7", wide)
    net.add("fc6-deconv", ConvTranspose2d(wide, filters[-1], kernel, start=gaussian((2 / wide) ** 0.5)))
    last = batch_norm_relu(net, "fc6-deconv", filters[-1])

    for i in range(len(filters), 0, -1):
        c, c_out = filters[i - 1], filters[max(0, i - 2)]
        net.add(f"unpool{i}", MaxUnpool2d(), last, f"pool{i}.switches")
        deconv_relu(net, f"deconv{i}_1", c, c)
        last = deconv_relu(net, f"deconv{i}_2", c, c_out)
    net.add("score", Conv2d(width, classes, 1))
    return net
