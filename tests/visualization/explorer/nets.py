"""A network with every kind of layer that the explorer draws, and its page."""

from dataclasses import dataclass

import numpy as np

from scratchnet.data import Preprocessing
from scratchnet.inference import Segmenter
from scratchnet.layers import (
    Add,
    BatchNorm2d,
    BilinearTranspose2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    ReLU,
    UpsampleNearest,
)
from scratchnet.network import Network
from scratchnet.visualization.explorer import content, crop_image
from scratchnet.visualization.explorer.displayed_layers import displayed_layers

CLASSES = ("ground", "<cell>", "dust")


def network():
    """Two poolings, inverted by switches and by interpolation, and two skips, concatenated and added."""
    net = Network(3, stride=4)
    net.add("lrn", LocalResponseNorm(5))
    net.add("conv1", Conv2d(3, 8, 3, padding=1))
    net.add("conv1_bn", BatchNorm2d(8))
    net.add("conv1_relu", ReLU())
    net.add("pool1", MaxPool2d(2))
    net.add("depthwise", Conv2d(8, 8, 3, padding=2, dilation=2, groups=8))
    net.add("conv2", Conv2d(8, 12, 3, padding=1))
    net.add("conv2_relu", ReLU())
    net.add("conv2_drop", Dropout(0.5))
    net.add("pool2", MaxPool2d(3, 2, 1, ceil_mode=True))
    net.add("conv3", Conv2d(12, 12, 1))
    net.add("tent", BilinearTranspose2d(2))
    net.add("tent_crop", Crop(1), "tent", "conv2_drop")
    net.add("sum", Add(), "tent_crop", "conv2_drop")
    net.add("repeat", UpsampleNearest(2), "pool2")
    net.add("repeat_crop", Crop(0), "repeat", "sum")
    net.add("both", Concatenate(), "sum", "repeat_crop")
    net.add("deconv2", ConvTranspose2d(24, 8, 3, padding=1))
    net.add("unpool1", MaxUnpool2d(), "deconv2", "pool1.switches")
    net.add("deconv1", ConvTranspose2d(8, 6, 4, 2, 1), "unpool1")
    net.add("back", Conv2d(6, 6, 2, 2))
    net.add("score", Conv2d(6, len(CLASSES), 3, padding=1))
    return net.allocate(3).eval()


@dataclass
class Made:
    """The content of a page with the values it was computed from."""

    net: Network
    crop: object
    content: dict
    values: dict
    switches: dict
    displayed: list


def made(net=None, size=(20, 24), most=4, **options):
    """Run a network on an image of noise and build the content of its page."""
    net = net or network()
    image = np.random.default_rng(5).integers(0, 256, (*size, 3), np.uint8)
    crop = crop_image(Segmenter(net, Preprocessing("dataset", (0.5, 0.5, 0.5), (0.3, 0.3, 0.3))), image, **options)
    values = {"input": crop.x, **{name: value.copy() for name, value in net.walk(crop.x, keep=True)}}
    pools = {step.name: step.layer for step in net.steps if isinstance(step.layer, MaxPool2d)}
    switches = {name: pool.switches.index[0] for name, pool in pools.items()}
    return Made(
        net, crop, content(net, crop, CLASSES, most), values, switches, displayed_layers(net, tuple(crop.x.shape[1:3]))
    )
