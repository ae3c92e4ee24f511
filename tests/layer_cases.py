"""Small networks that hold every kind of layer in its plain and in its odd uses, for judges from outside."""

from scratchnet.layers import (
    Add,
    BatchNorm2d,
    BedOfNails,
    BilinearTranspose2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    ReLU,
    Scale,
    UpsampleBilinear,
    UpsampleNearest,
)
from scratchnet.network import Network
from tests.compare import numbers

C = 4
"""Channels of the input."""

EVEN, ODD = (8, 10), (9, 7)
"""Two sizes that every network here takes."""


def single(layer):
    net = Network(C)
    net.add("step", layer)
    return net


def unpooling(*pool, **how):
    """Pool, change the values but not their places, unpool."""
    net = Network(C)
    net.add("pool", MaxPool2d(*pool, **how))
    net.add("conv", Conv2d(C, C, 1))
    net.add("unpool", MaxUnpool2d(), "conv", "pool.switches")
    return net


def joined(layer, *inputs):
    """A layer that takes several of: the image, a smaller map, a larger one."""
    net = Network(C)
    net.add("conv", Conv2d(C, C + 1, 3, 2, 1))
    net.add("large", UpsampleNearest(3), "conv")
    net.add("step", layer, *inputs)
    return net


def added():
    net = Network(C)
    for name, kernel in (("a", 3), ("b", 1), ("c", 1)):
        net.add(name, Conv2d(C, 3, kernel, padding=kernel // 2), "input")
    net.add("step", Add(), "a", "b", "c")
    return net


CASES = {
    "conv": lambda: single(Conv2d(C, 6, 3)),
    "conv, everything uneven": lambda: single(
        Conv2d(C, 6, (2, 3), stride=(1, 2), padding=(2, 1), dilation=(3, 1), groups=2, bias=False)
    ),
    "depthwise": lambda: single(Conv2d(C, 8, 3, padding=1, groups=4)),
    "deconv": lambda: single(ConvTranspose2d(C, 6, 3, padding=1)),
    "deconv, stride": lambda: single(ConvTranspose2d(C, 6, 4, 2, 1)),
    "deconv, everything uneven": lambda: single(
        ConvTranspose2d(C, 6, (2, 3), (3, 2), (1, 0), (2, 1), groups=2, bias=False, dilation=(1, 2))
    ),
    "batch norm": lambda: single(BatchNorm2d(C, eps=1e-3)),
    "lrn": lambda: single(LocalResponseNorm(3, 0.7, 0.6)),
    "relu": lambda: single(ReLU()),
    "dropout": lambda: single(Dropout(0.5)),
    "pad": lambda: single(Pad((1, 2))),
    "nearest": lambda: single(UpsampleNearest((2, 3))),
    "bilinear": lambda: single(UpsampleBilinear((2, 3))),
    "scale": lambda: single(Scale(0.01)),
    "bilinear deconv": lambda: single(BilinearTranspose2d(3)),
    "bed of nails": lambda: single(BedOfNails((2, 3))),
    "add": added,
    "concatenate": lambda: joined(Concatenate(), "conv", "conv"),
    "crop": lambda: joined(Crop((2, 1)), "large", "input"),
    "crop, the middle": lambda: joined(Crop(), "large", "conv"),
    "crop with a margin": lambda: joined(Crop((0, 3), margin=1), "large", "input"),
    "pool": lambda: single(MaxPool2d(2)),
    "pool, overlapping": lambda: single(MaxPool2d(3, 2, 1)),
    "pool, ceil mode": lambda: single(MaxPool2d(2, ceil_mode=True)),
    "pool, everything uneven": lambda: single(MaxPool2d((2, 3), (3, 1), (1, 0), ceil_mode=True)),
    "pool, gaps": lambda: single(MaxPool2d(1, (2, 3), ceil_mode=True)),
    "unpool": lambda: unpooling(2),
    "unpool, ceil mode": lambda: unpooling(2, ceil_mode=True),
    "unpool, 3×3, ceil mode": lambda: unpooling(3, ceil_mode=True),
    "unpool, padded": lambda: unpooling((3, 2), padding=(1, 0)),
    "unpool, gaps": lambda: unpooling(1, (2, 3), ceil_mode=True),
    "unpool, overlapping": lambda: unpooling(3, 2, 1),
    "unpool, overlapping, ceil mode": lambda: unpooling((2, 3), (3, 1), (1, 0), ceil_mode=True),
}


def prepared(make, dtype):
    """Return an allocated network whose biases are not 0 and whose batch norms have statistics."""
    net = make().allocate(0, dtype).eval()
    for name, parameter in net.parameters().items():
        if parameter.kind != "weight":
            parameter.value[...] += numbers(*parameter.shape, seed=len(name), dtype=dtype)
    for buffer in net.state().values():
        buffer.value[...] += abs(numbers(*buffer.value.shape, seed=5, dtype=dtype))
    return net
