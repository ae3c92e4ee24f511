"""The table of layer tests: networks with every layer for comparisons, its bad settings, PyTorch's form.

A new layer needs a network in :data:`CASES`, a row in :data:`SETTINGS` and, unless the benchmarks know PyTorch's form
of it, one in :data:`TORCH`.
"""

import numpy as np

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
    GroupNorm,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    ReLU,
    Scale,
    SyncBatchNorm2d,
    UpsampleBilinear,
    UpsampleNearest,
)
from scratchnet.layers.synchronized import alone
from scratchnet.network import Network
from tests.bad_settings import FLAG, integer, pair, real
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
    "synchronised batch norm": lambda: single(SyncBatchNorm2d(*SyncBatchNorm2d.example, eps=1e-3)),
    "group norm": lambda: single(GroupNorm(C, 2, eps=1e-3)),
    "group norm, one group": lambda: single(GroupNorm(C, 1)),
    "lrn": lambda: single(LocalResponseNorm(3, 0.7, 0.6)),
    "relu": lambda: single(ReLU()),
    "leaky relu": lambda: single(LeakyReLU(0.1)),
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


# Bad settings -----------------------------------------------------------------------------------------------------

CONVOLUTION = {
    "in_channels": integer(1),
    "out_channels": integer(1),
    "kernel_size": pair(1),
    "stride": pair(1),
    "padding": pair(0),
    "dilation": pair(1),
    "groups": [*integer(1), 3],
    "bias": FLAG,
    "initializer": [None, 3, "he_normal"],
}
BATCH_NORM = {
    "channels": integer(1),
    "eps": real(-1, -1e-9),
    "momentum": real(-0.1, 1.01, 2),
    "scale": real(),
    "shift": real(),
}
SETTINGS = {
    Conv2d: ({"in_channels": 4, "out_channels": 8, "kernel_size": 3}, CONVOLUTION),
    ConvTranspose2d: (
        {"in_channels": 4, "out_channels": 8, "kernel_size": 3},
        {**CONVOLUTION, "output_padding": pair(0)},
    ),
    BatchNorm2d: ({"channels": 4}, BATCH_NORM),
    SyncBatchNorm2d: (
        {"channels": 4, "allreduce": alone},
        {**BATCH_NORM, "allreduce": [None, 3, "sum"]},
    ),
    LocalResponseNorm: ({}, {"size": [*integer(1), 4, np.int64(2)], "alpha": real(-1e-4), "beta": real()}),
    MaxPool2d: (
        {"kernel_size": 2},
        {
            "kernel_size": pair(1),
            "stride": [bad for bad in pair(1) if bad is not None],
            "padding": [*pair(0), 2],
            "ceil_mode": FLAG,
        },
    ),
    MaxUnpool2d: ({}, {}),
    ReLU: ({}, {}),
    GroupNorm: (
        {"channels": 4, "groups": 2},
        {"channels": [*integer(1), 3], "groups": [*integer(1), 3], "eps": real(-1, -1e-9)},
    ),
    LeakyReLU: ({}, {"negative_slope": real(-0.1, 0, 1, 1.5)}),
    Dropout: ({}, {"rate": real(-0.1, 1, 1.0, 2)}),
    Scale: ({"factor": 2.0}, {"factor": real()}),
    Add: ({}, {}),
    Concatenate: ({}, {}),
    Crop: ({}, {"offset": [bad for bad in pair(0) if bad is not None], "margin": pair(0)}),
    Pad: ({"padding": 1}, {"padding": pair(0)}),
    UpsampleNearest: ({}, {"scale": pair(1)}),
    UpsampleBilinear: ({}, {"scale": pair(1)}),
    BedOfNails: ({}, {"scale": pair(1)}),
    BilinearTranspose2d: ({"factor": 2}, {"factor": integer(1)}),
}
"""For each layer the arguments that it needs, and for each of its settings the values that it must refuse."""

# PyTorch's forms --------------------------------------------------------------------------------------------------

TORCH = {
    GroupNorm: lambda twin, name, layer, taken: twin.functional.group_norm(
        taken[0], layer.groups, twin.learned[f"{name}.scale"], twin.learned[f"{name}.shift"], layer.eps
    ),
    LeakyReLU: lambda twin, name, layer, taken: twin.functional.leaky_relu(taken[0], layer.negative_slope),
}
"""PyTorch's forms of layers that no benchmark needs, as in ``benchmarks.harness.torch_network.TORCH_LAYERS``."""


# Networks ready to run --------------------------------------------------------------------------------------------


def prepared(make, dtype):
    """Return an allocated network whose biases are not 0 and whose batch norms have statistics."""
    net = make().allocate(0, dtype).eval()
    for name, parameter in net.parameters().items():
        if parameter.kind != "weight":
            parameter.value[...] += numbers(*parameter.shape, seed=len(name), dtype=dtype)
    for buffer in net.state().values():
        buffer.value[...] += abs(numbers(*buffer.value.shape, seed=5, dtype=dtype))
    return net
