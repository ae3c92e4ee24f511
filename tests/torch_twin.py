"""A network's list of steps, run by PyTorch's own functions with the same numbers. Imports PyTorch late."""

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
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    ReLU,
    Scale,
    UpsampleBilinear,
    UpsampleNearest,
)
from tests.torch_layouts import kernels, tensor, weights


class TorchTwin:
    """The same network in PyTorch, in the mode (training or not) that the network is in."""

    def __init__(self, net):
        self.net = net
        self.learned = {
            name: kernels(p.value) if p.kind == "weight" else tensor(p.value.copy())
            for name, p in net.parameters().items()
        }
        self.state = {name: tensor(b.value.copy(), learn=False) for name, b in net.state().items()}

    def forward(self, x):
        values = {"input": x}
        for step in self.net.steps:
            taken = [values[name] for name in step.inputs]
            values[step.name] = RULES[type(step.layer)](self, step.name, step.layer, taken, values)
        return values[self.net.steps[-1].name]

    def of(self, name, *keys):
        """Return parameters or buffers of a step, None for those it has not."""
        return [(self.learned | self.state).get(f"{name}.{key}") for key in keys]

    def step(self, loss, rate):
        """Go down the gradient of the loss."""
        import torch

        loss.backward()
        with torch.no_grad():
            for parameter in self.learned.values():
                parameter.sub_(rate * parameter.grad)
                parameter.grad = None

    def values(self):
        """Return everything learned, in this package's layout."""
        return {name: weights(t) if t.ndim == 4 else t.detach().numpy() for name, t in self.learned.items()} | {
            name: t.numpy() for name, t in self.state.items()
        }

    def gradients(self):
        """Return the gradients of everything learned, in this package's layout."""
        return {name: weights(t.grad) if t.ndim == 4 else t.grad.numpy() for name, t in self.learned.items()}


def functional():
    import torch

    return torch.nn.functional


def conv(twin, name, layer, taken, values):
    how = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups}
    return functional().conv2d(*taken, *twin.of(name, "weight", "bias"), **how)


def conv_transpose(twin, name, layer, taken, values):
    how = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups}
    weight, bias = twin.of(name, "weight", "bias")
    return functional().conv_transpose2d(*taken, weight, bias, output_padding=layer.output_padding, **how)


def batch_norm(twin, name, layer, taken, values):
    mean, variance, scale, shift = twin.of(name, "running_mean", "running_var", "scale", "shift")
    how = {"training": twin.net.training, "momentum": layer.momentum, "eps": layer.eps}
    return functional().batch_norm(*taken, mean, variance, scale, shift, **how)


def max_pool(twin, name, layer, taken, values):
    how = {"ceil_mode": layer.ceil_mode, "return_indices": True}
    y, indices = functional().max_pool2d(*taken, layer.kernel, layer.stride, layer.padding, **how)
    values[f"{name}.switches"] = indices, (layer.kernel, layer.stride, layer.padding), taken[0].shape[2:]
    return y


def max_unpool(twin, name, layer, taken, values):
    x, (indices, pooling, size) = taken
    return functional().max_unpool2d(x, indices, *pooling, output_size=size)


def bilinear(twin, name, layer, taken, values):
    return functional().interpolate(*taken, scale_factor=layer.scale, mode="bilinear", align_corners=False)


def bilinear_transpose(twin, name, layer, taken, values):
    """FCN's kernel, the same for every channel by itself."""
    (x,) = taken
    f, c = layer.factor, x.shape[1]
    tent = 1 - abs(np.arange(2 * f) - f + 0.5) / f
    kernel = tensor(np.outer(tent, tent), learn=False).to(x.dtype).expand(c, 1, -1, -1)
    return functional().conv_transpose2d(x, kernel, stride=f, groups=c)


def bed_of_nails(twin, name, layer, taken, values):
    (x,) = taken
    y = x.new_zeros(*x.shape[:2], x.shape[2] * layer.scale[0], x.shape[3] * layer.scale[1])
    y[:, :, :: layer.scale[0], :: layer.scale[1]] = x
    return y


def crop(twin, name, layer, taken, values):
    x, like = taken
    (h, w), (oh, ow) = x.shape[2:], (like.shape[i] - 2 * layer.margin[i - 2] for i in (2, 3))
    top, left = layer.offset or ((h - oh) // 2, (w - ow) // 2)
    return x[:, :, top : top + oh, left : left + ow]


def pad(twin, name, layer, taken, values):
    vertical, horizontal = layer.padding
    return functional().pad(*taken, (horizontal, horizontal, vertical, vertical))


def concatenate(twin, name, layer, taken, values):
    import torch

    return torch.cat(taken, dim=1)


RULES = {
    Add: lambda twin, name, layer, taken, values: sum(taken),
    BatchNorm2d: batch_norm,
    BedOfNails: bed_of_nails,
    BilinearTranspose2d: bilinear_transpose,
    Concatenate: concatenate,
    Conv2d: conv,
    ConvTranspose2d: conv_transpose,
    Crop: crop,
    Dropout: lambda twin, name, layer, taken, values: taken[0],
    LocalResponseNorm: lambda twin, name, layer, taken, values: functional().local_response_norm(
        *taken, layer.size, layer.alpha, layer.beta
    ),
    MaxPool2d: max_pool,
    MaxUnpool2d: max_unpool,
    Pad: pad,
    ReLU: lambda twin, name, layer, taken, values: functional().relu(*taken),
    Scale: lambda twin, name, layer, taken, values: layer.factor * taken[0],
    UpsampleBilinear: bilinear,
    UpsampleNearest: lambda twin, name, layer, taken, values: functional().interpolate(
        *taken, scale_factor=layer.scale, mode="nearest"
    ),
}
