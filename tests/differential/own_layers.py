"""Layers as a user would write them: subclasses of the package's, and one from nothing, with PyTorch's form of each."""

import numpy as np

from benchmarks.harness import torch_network
from scratchnet import layers


class LeakyReLU(layers.ReLU):
    """Keeps a tenth of what is negative: not the ReLU that it inherits from."""

    capturable = True

    def forward(self, x):
        """(n, h, w, c) → the same shape."""
        self.save_for_backward(x)
        return np.maximum(x, x * x.dtype.type(0.1))

    def backward(self, dy):
        """Return dx."""
        (x,) = self.take_saved()
        return dy * ((x > 0) * dy.dtype.type(0.9) + dy.dtype.type(0.1))


class DoubledConv2d(layers.Conv2d):
    """A convolution whose output is multiplied by 2."""

    capturable = True

    def forward(self, x):
        """(n, h, w, in_channels) → (n, oh, ow, out_channels)."""
        return super().forward(x) * x.dtype.type(2)

    def backward(self, dy):
        """Return dx."""
        return super().backward(dy * dy.dtype.type(2))


class Tanh(layers.Layer):
    """tanh(x), keeping its output; not recordable."""

    def forward(self, x):
        """(n, h, w, c) → the same shape."""
        y = np.tanh(x)
        self.save_for_backward(y)
        return y

    def backward(self, dy):
        """Return dx."""
        (y,) = self.take_saved()
        return dy * (1 - y * y)

    def output_shape(self, x):
        """Return the input's shape."""
        return x


def _unpool(torch_net, name, layer, taken):
    """Sum the values where windows overlap; PyTorch's own unpooling keeps the last."""
    x, (indices, _, (h, w)) = taken
    n, c = x.shape[:2]
    y = x.new_zeros(n, c, h * w).scatter_add(2, indices.flatten(2), x.flatten(2))
    return y.reshape(n, c, h, w)


TORCH_LAYERS = {
    layers.MaxUnpool2d: _unpool,
    layers.Dropout: lambda torch_net, name, layer, taken: (
        taken[0] * torch_net.masks[name] if name in torch_net.masks else taken[0]
    ),
    LeakyReLU: lambda torch_net, name, layer, taken: torch_net.functional.leaky_relu(taken[0], 0.1),
    DoubledConv2d: lambda torch_net, name, layer, taken: (
        2 * torch_network.TORCH_LAYERS[layers.Conv2d](torch_net, name, layer, taken)
    ),
    Tanh: lambda torch_net, name, layer, taken: taken[0].tanh(),
}
