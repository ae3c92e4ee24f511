"""A scratchnet network executed by PyTorch: the same list of steps, the same layers and weights.

It is written as an experienced PyTorch user would write it: functions of ``torch.nn.functional``, in-place ReLU after
convolutions and batch norm, values freed after their last use, and autograd for the backward pass.

PyTorch's arrays are (n, c, h, w) and its kernels (c_out, c_in, kh, kw). With ``channels_last`` the order of axes is the
same, but the memory layout is scratchnet's, which is PyTorch's faster layout on many processors.
"""

from collections.abc import Callable, Mapping
from typing import Any

from scratchnet import layers as ours
from scratchnet.arrays import Array
from scratchnet.layers.base import Layer
from scratchnet.network import Network


def parameter_values(network: Network) -> dict[str, Array]:
    """Return the parameters and buffers of a network by name."""
    learned = {name: p.value for name, p in network.parameters().items()}
    return learned | {name: b.value for name, b in network.state().items()}


class TorchNetwork:
    """PyTorch's version of ``network``, in training mode until ``training`` is set to False.

    Parameters
    ----------
    network : Network
        Only its steps are read; it needs no allocated parameters.
    values : dict of str to array
        :func:`parameter_values` of a network with the same steps.
    channels_last : bool
        Whether to use PyTorch's channels-last memory layout.
    device : str
        PyTorch device of the tensors.
    """

    def __init__(
        self, network: Network, values: Mapping[str, Array], channels_last: bool = False, device: str = "cpu"
    ) -> None:
        import torch

        self.device = device
        self.torch, self.functional = torch, torch.nn.functional
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.steps = network.steps
        self.training = True
        self.kinds = {name: p.kind for name, p in network.parameters().items()}
        self.learned = {name: self._kernel(values[name]).requires_grad_() for name in self.kinds}
        self.state = {name: torch.tensor(values[name], device=device) for name in network.state()}
        uses = [name for step in self.steps for name in step.inputs]
        self.uses = {name: uses.count(name) for name in uses}
        self.last_use = {name: i for i, step in enumerate(self.steps) for name in step.inputs}
        layer_types = {step.name: type(step.layer) for step in self.steps}
        # The gradients of these layers do not need the layer's output, so a ReLU may overwrite it.
        self.overwrites = {
            step.name
            for step in self.steps
            if layer_types.get(step.inputs[0]) in (ours.Conv2d, ours.ConvTranspose2d, ours.BatchNorm2d)
            and self.uses[step.inputs[0]] == 1
        }

    def _kernel(self, value: Array) -> Any:
        """Return a parameter in PyTorch's order of axes and this network's memory layout."""
        if value.ndim != 4:
            return self.torch.tensor(value, device=self.device)
        kernel = self.torch.from_numpy(value.transpose(3, 2, 0, 1))
        return kernel.to(self.device).clone(memory_format=self.format)

    def batch(self, x: Array) -> Any:
        """(n, h, w, c) → a tensor (n, c, h, w) in this network's memory layout."""
        return self.torch.from_numpy(x.transpose(0, 3, 1, 2)).to(self.device).clone(memory_format=self.format)

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Return the parameters as groups for PyTorch's optimisers, with weight decay for weights only."""
        weights = [t for name, t in self.learned.items() if self.kinds[name] == "weight"]
        others = [t for name, t in self.learned.items() if self.kinds[name] != "weight"]
        return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]

    def gradients(self) -> dict[str, Array]:
        """Return the gradients by name, in scratchnet's layout."""
        return {
            name: (t.grad.permute(2, 3, 1, 0) if t.ndim == 4 else t.grad).cpu().numpy()
            for name, t in self.learned.items()
        }

    def forward(self, x: Any) -> Any:
        """Run all steps: (n, channels, h, w) → the last step's output."""
        values = {"input": x}
        for i, step in enumerate(self.steps):
            run = TORCH_LAYERS.get(type(step.layer))
            if run is None:
                raise ValueError(f"step '{step.name}': no PyTorch form of {type(step.layer).__name__} is known")
            output = run(self, step.name, step.layer, [values[name] for name in step.inputs])
            if isinstance(output, tuple):
                output, values[f"{step.name}.switches"] = output
            values[step.name] = output
            for name in [name for name in values if self.last_use.get(name, i) <= i and name != step.name]:
                del values[name]
        return values[self.steps[-1].name]


def _conv(net: TorchNetwork, name: str, layer: ours.Conv2d, inputs: list[Any]) -> Any:
    weight, bias = net.learned[f"{name}.weight"], net.learned.get(f"{name}.bias")
    return net.functional.conv2d(inputs[0], weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)


def _conv_transpose(net: TorchNetwork, name: str, layer: ours.ConvTranspose2d, inputs: list[Any]) -> Any:
    weight, bias = net.learned[f"{name}.weight"], net.learned.get(f"{name}.bias")
    return net.functional.conv_transpose2d(
        inputs[0], weight, bias, layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation
    )


def _batch_norm(net: TorchNetwork, name: str, layer: ours.BatchNorm2d, inputs: list[Any]) -> Any:
    running = (net.state[f"{name}.running_mean"], net.state[f"{name}.running_var"])
    learned = (net.learned[f"{name}.scale"], net.learned[f"{name}.shift"])
    return net.functional.batch_norm(inputs[0], *running, *learned, net.training, layer.momentum, layer.eps)


def _max_pool(net: TorchNetwork, name: str, layer: ours.MaxPool2d, inputs: list[Any]) -> Any:
    settings = (layer.kernel, layer.stride, layer.padding, 1, layer.ceil_mode)
    if f"{name}.switches" not in net.uses:
        return net.functional.max_pool2d(inputs[0], *settings)
    y, indices = net.functional.max_pool2d(inputs[0], *settings, return_indices=True)
    return y, (indices, layer, inputs[0].shape[2:])


def _max_unpool(net: TorchNetwork, name: str, layer: ours.MaxUnpool2d, inputs: list[Any]) -> Any:
    x, (indices, pool, size) = inputs
    return net.functional.max_unpool2d(x, indices, pool.kernel, pool.stride, pool.padding, output_size=size)


def _crop(net: TorchNetwork, name: str, layer: ours.Crop, inputs: list[Any]) -> Any:
    x, like = inputs
    h, w = like.shape[2] - 2 * layer.margin[0], like.shape[3] - 2 * layer.margin[1]
    top, left = layer.offset or ((x.shape[2] - h) // 2, (x.shape[3] - w) // 2)
    return x[:, :, top : top + h, left : left + w]


def _pad(net: TorchNetwork, name: str, layer: ours.Pad, inputs: list[Any]) -> Any:
    vertical, horizontal = layer.padding
    return net.functional.pad(inputs[0], (horizontal, horizontal, vertical, vertical))


def _bed_of_nails(net: TorchNetwork, name: str, layer: ours.BedOfNails, inputs: list[Any]) -> Any:
    (n, c, h, w), (sh, sw) = inputs[0].shape, layer.scale
    y = inputs[0].new_zeros((n, c, h * sh, w * sw)).contiguous(memory_format=net.format)
    y[:, :, ::sh, ::sw] = inputs[0]
    return y


def _bilinear_transpose(net: TorchNetwork, name: str, layer: ours.BilinearTranspose2d, inputs: list[Any]) -> Any:
    """Upsample each channel separately with FCN's bilinear kernel, a tent function in both directions."""
    x, f = inputs[0], layer.factor
    tent = 1 - (net.torch.arange(2 * f, dtype=x.dtype, device=x.device) - f + 0.5).abs() / f
    kernel = (tent[:, None] * tent).expand(x.shape[1], 1, -1, -1)
    return net.functional.conv_transpose2d(x, kernel, stride=f, groups=x.shape[1])


def _bilinear(net: TorchNetwork, name: str, layer: ours.UpsampleBilinear, inputs: list[Any]) -> Any:
    return net.functional.interpolate(inputs[0], scale_factor=layer.scale, mode="bilinear", align_corners=False)


def _local_response_norm(net: TorchNetwork, name: str, layer: ours.LocalResponseNorm, inputs: list[Any]) -> Any:
    return net.functional.local_response_norm(inputs[0], layer.size, layer.alpha, layer.beta)


TORCH_LAYERS: dict[type[Layer], Callable[[TorchNetwork, str, Any, list[Any]], Any]] = {
    ours.Conv2d: _conv,
    ours.ConvTranspose2d: _conv_transpose,
    ours.BatchNorm2d: _batch_norm,
    ours.SyncBatchNorm2d: _batch_norm,
    ours.LocalResponseNorm: _local_response_norm,
    ours.ReLU: lambda net, name, layer, inputs: net.functional.relu(inputs[0], inplace=name in net.overwrites),
    ours.Dropout: lambda net, name, layer, inputs: net.functional.dropout(inputs[0], layer.rate, net.training),
    ours.MaxPool2d: _max_pool,
    ours.MaxUnpool2d: _max_unpool,
    ours.Add: lambda net, name, layer, inputs: sum(inputs[1:], inputs[0]),
    ours.Concatenate: lambda net, name, layer, inputs: net.torch.cat(inputs, 1),
    ours.Crop: _crop,
    ours.Pad: _pad,
    ours.UpsampleNearest: lambda net, name, layer, inputs: net.functional.interpolate(
        inputs[0], scale_factor=layer.scale, mode="nearest"
    ),
    ours.BedOfNails: _bed_of_nails,
    ours.UpsampleBilinear: _bilinear,
    ours.BilinearTranspose2d: _bilinear_transpose,
    ours.Scale: lambda net, name, layer, inputs: inputs[0] * layer.factor,
}
"""PyTorch's implementation of each layer: (network, step name, layer, inputs) → output, or (output, switches)."""
