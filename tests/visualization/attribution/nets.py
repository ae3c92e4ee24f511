"""Small networks to explain."""

import numpy as np

from scratchnet.layers import (
    BatchNorm2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    MaxPool2d,
    MaxUnpool2d,
    ReLU,
    UpsampleBilinear,
)
from scratchnet.network import Network
from tests.compare import numbers


def hourglass(dtype=np.float64, activation=ReLU):
    """A DeconvNet with a skip: switches, batch norm, dropout, concatenation, bilinear and transposed convolution."""
    net = Network(2, stride=2)
    net.add("conv1", Conv2d(2, 5, 3, padding=1))
    net.add("bn1", BatchNorm2d(5))
    net.add("relu1", activation())
    net.add("pool", MaxPool2d(2))
    net.add("conv2", Conv2d(5, 5, 3, padding=1))
    net.add("relu2", activation())
    net.add("drop", Dropout(0.5))
    net.add("unpool", MaxUnpool2d(), "drop", "pool.switches")
    net.add("blend", UpsampleBilinear(2), "relu2")
    net.add("both", Concatenate(), "unpool", "blend", "relu1")
    net.add("deconv", ConvTranspose2d(15, 4, 3, padding=1))
    net.add("relu3", activation())
    net.add("score", Conv2d(4, 3, 1))
    net.allocate(3, dtype)
    for name, parameter in net.parameters().items():
        if parameter.kind != "weight":
            parameter.value[...] += 0.3 * numbers(*parameter.shape, seed=len(name), dtype=dtype)
    for buffer in net.state().values():
        buffer.value[...] += abs(numbers(*buffer.value.shape, seed=5, dtype=dtype))
    return net.eval()
