"""A network: a list of named steps, walked forwards and backwards.

    net = Network(channels=3)
    net.add("conv1", Conv2d(3, 32, 3, padding=1))
    net.add("relu1", ReLU())
    net.add("pool1", MaxPool2d(2))
    net.add("deconv1", ConvTranspose2d(32, 32, 3, padding=1))
    net.add("unpool1", MaxUnpool2d(), "deconv1", "pool1.switches")
    net.add("score", Conv2d(32, 2, 1))

Each step makes a value with its own name. It takes the value of the step before it unless others are named;
``"input"`` is the image. A pooling step makes a second value, ``NAME.switches``. The gradient of a value that several
steps used is the sum of what they send back: that is all there is to skips and concatenations.
"""

from scratchnet.network.network import Network
from scratchnet.network.parameters import PARAMETER_KINDS, FlatBuffers
from scratchnet.network.step import Step

__all__ = ["PARAMETER_KINDS", "FlatBuffers", "Network", "Step"]
