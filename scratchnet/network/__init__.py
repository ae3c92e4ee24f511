"""A network: a list of named steps that is run forwards and backwards.

    net = Network(channels=3)
    net.add("conv1", Conv2d(3, 32, 3, padding=1))
    net.add("relu1", ReLU())
    net.add("pool1", MaxPool2d(2))
    net.add("deconv1", ConvTranspose2d(32, 32, 3, padding=1))
    net.add("unpool1", MaxUnpool2d(), "deconv1", "pool1.switches")
    net.add("score", Conv2d(32, 2, 1))

Each step computes a value with its own name. Its input is the value of the preceding step, unless other values are
named; ``"input"`` is the image. A pooling step computes a second value, ``NAME.switches``. The gradient of a value that
several steps use is the sum of their gradients; skip connections need nothing else.
"""

from scratchnet.network.network import Network
from scratchnet.network.parameters import PARAMETER_KINDS, FlatBuffers
from scratchnet.network.step import Step

__all__ = ["PARAMETER_KINDS", "FlatBuffers", "Network", "Step"]
