"""A network's list of steps, run by PyTorch: the same layers, the same weights, PyTorch's own speed.

The twin is what somebody who knows PyTorch would write: functions of ``torch.nn.functional``, ReLU in place behind
convolutions and batch norm, values let go of after their last use, autograd for the backward pass. Layers keep their
places in the list, so a network that can be walked here can be walked there.

PyTorch's arrays are (n, c, h, w) and its kernels (c_out, c_in, kh, kw). With ``channels_last`` the axes keep these
names but lie in memory as ours do, which is PyTorch's faster layout on many processors.
"""

from collections.abc import Callable, Mapping
from typing import Any

from scratchnet import layers as ours
from scratchnet.arrays import Array
from scratchnet.layers.base import Layer
from scratchnet.network import Network


def parameter_values(network: Network) -> dict[str, Array]:
    """Return everything that a network has learned or keeps, by name."""
    learned = {name: p.value for name, p in network.parameters().items()}
    return learned | {name: b.value for name, b in network.state().items()}


class TorchTwin:
    """The twin of ``network``, in training mode until ``training`` is set to False.

    Parameters
    ----------
    network : Network
        Only its list is read; it needs no memory of its own.
    values : dict of str to array
        From :func:`parameter_values` of a network with the same list.
    channels_last : bool
        The layout in memory.
    device : str
        Where PyTorch's tensors live.
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
        makers = {step.name: type(step.layer) for step in self.steps}
        # The gradients of these layers do not need what the layer made, so a ReLU may overwrite it.
        self.overwrites = {
            step.name
            for step in self.steps
            if makers.get(step.inputs[0]) in (ours.Conv2d, ours.ConvTranspose2d, ours.BatchNorm2d)
            and self.uses[step.inputs[0]] == 1
        }

    def _kernel(self, value: Array) -> Any:
        """Return a parameter in PyTorch's order of axes and the twin's layout."""
        if value.ndim != 4:
            return self.torch.tensor(value, device=self.device)
        kernel = self.torch.from_numpy(value.transpose(3, 2, 0, 1))
        return kernel.to(self.device).clone(memory_format=self.format)

    def batch(self, x: Array) -> Any:
        """(n, h, w, c) → a tensor (n, c, h, w) in the twin's layout."""
        return self.torch.from_numpy(x.transpose(0, 3, 1, 2)).to(self.device).clone(memory_format=self.format)

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Return the parameters as PyTorch's optimisers take them: weights decay, the others do not."""
        weights = [t for name, t in self.learned.items() if self.kinds[name] == "weight"]
        others = [t for name, t in self.learned.items() if self.kinds[name] != "weight"]
        return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]

    def gradients(self) -> dict[str, Array]:
        """Return the gradients by name, in this package's layout."""
        return {
            name: (t.grad.permute(2, 3, 1, 0) if t.ndim == 4 else t.grad).cpu().numpy()
            for name, t in self.learned.items()
        }

    def forward(self, x: Any) -> Any:
        """Run the list: (n, channels, h, w) → the last value."""
        values = {"input": x}
        for i, step in enumerate(self.steps):
            rule = RULES.get(type(step.layer))
            if rule is None:
                raise ValueError(f"step '{step.name}': no PyTorch form of {type(step.layer).__name__} is known")
            made = rule(self, step.name, step.layer, [values[name] for name in step.inputs])
            if isinstance(made, tuple):
                made, values[f"{step.name}.switches"] = made
            values[step.name] = made
            for name in [name for name in values if self.last_use.get(name, i) <= i and name != step.name]:
                del values[name]
        return values[self.steps[-1].name]


def _conv(twin: TorchTwin, name: str, layer: ours.Conv2d, taken: list[Any]) -> Any:
    weight, bias = twin.learned[f"{name}.weight"], twin.learned.get(f"{name}.bias")
    return twin.functional.conv2d(taken[0], weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)


def _conv_transpose(twin: TorchTwin, name: str, layer: ours.ConvTranspose2d, taken: list[Any]) -> Any:
    weight, bias = twin.learned[f"{name}.weight"], twin.learned.get(f"{name}.bias")
    return twin.functional.conv_transpose2d(
        taken[0], weight, bias, layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation
    )


def _batch_norm(twin: TorchTwin, name: str, layer: ours.BatchNorm2d, taken: list[Any]) -> Any:
    running = (twin.state[f"{name}.running_mean"], twin.state[f"{name}.running_var"])
    learned = (twin.learned[f"{name}.scale"], twin.learned[f"{name}.shift"])
    return twin.functional.batch_norm(taken[0], *running, *learned, twin.training, layer.momentum, layer.eps)


def _max_pool(twin: TorchTwin, name: str, layer: ours.MaxPool2d, taken: list[Any]) -> Any:
    settings = (layer.kernel, layer.stride, layer.padding, 1, layer.ceil_mode)
    if f"{name}.switches" not in twin.uses:
        return twin.functional.max_pool2d(taken[0], *settings)
    y, indices = twin.functional.max_pool2d(taken[0], *settings, return_indices=True)
    return y, (indices, layer, taken[0].shape[2:])


def _max_unpool(twin: TorchTwin, name: str, layer: ours.MaxUnpool2d, taken: list[Any]) -> Any:
    x, (indices, pool, size) = taken
    return twin.functional.max_unpool2d(x, indices, pool.kernel, pool.stride, pool.padding, output_size=size)


def _crop(twin: TorchTwin, name: str, layer: ours.Crop, taken: list[Any]) -> Any:
    x, like = taken
    h, w = like.shape[2] - 2 * layer.margin[0], like.shape[3] - 2 * layer.margin[1]
    top, left = layer.offset or ((x.shape[2] - h) // 2, (x.shape[3] - w) // 2)
    return x[:, :, top : top + h, left : left + w]


def _pad(twin: TorchTwin, name: str, layer: ours.Pad, taken: list[Any]) -> Any:
    vertical, horizontal = layer.padding
    return twin.functional.pad(taken[0], (horizontal, horizontal, vertical, vertical))


def _bed_of_nails(twin: TorchTwin, name: str, layer: ours.BedOfNails, taken: list[Any]) -> Any:
    (n, c, h, w), (sh, sw) = taken[0].shape, layer.scale
    y = taken[0].new_zeros((n, c, h * sh, w * sw)).contiguous(memory_format=twin.format)
    y[:, :, ::sh, ::sw] = taken[0]
    return y


def _bilinear_transpose(twin: TorchTwin, name: str, layer: ours.BilinearTranspose2d, taken: list[Any]) -> Any:
    """Spread every channel by itself with FCN's kernel, a tent in both directions."""
    x, f = taken[0], layer.factor
    tent = 1 - (twin.torch.arange(2 * f, dtype=x.dtype, device=x.device) - f + 0.5).abs() / f
    kernel = (tent[:, None] * tent).expand(x.shape[1], 1, -1, -1)
    return twin.functional.conv_transpose2d(x, kernel, stride=f, groups=x.shape[1])


def _bilinear(twin: TorchTwin, name: str, layer: ours.UpsampleBilinear, taken: list[Any]) -> Any:
    return twin.functional.interpolate(taken[0], scale_factor=layer.scale, mode="bilinear", align_corners=False)


def _local_response_norm(twin: TorchTwin, name: str, layer: ours.LocalResponseNorm, taken: list[Any]) -> Any:
    return twin.functional.local_response_norm(taken[0], layer.size, layer.alpha, layer.beta)


RULES: dict[type[Layer], Callable[[TorchTwin, str, Any, list[Any]], Any]] = {
    ours.Conv2d: _conv,
    ours.ConvTranspose2d: _conv_transpose,
    ours.BatchNorm2d: _batch_norm,
    ours.LocalResponseNorm: _local_response_norm,
    ours.ReLU: lambda twin, name, layer, taken: twin.functional.relu(taken[0], inplace=name in twin.overwrites),
    ours.Dropout: lambda twin, name, layer, taken: twin.functional.dropout(taken[0], layer.rate, twin.training),
    ours.MaxPool2d: _max_pool,
    ours.MaxUnpool2d: _max_unpool,
    ours.Add: lambda twin, name, layer, taken: sum(taken[1:], taken[0]),
    ours.Concatenate: lambda twin, name, layer, taken: twin.torch.cat(taken, 1),
    ours.Crop: _crop,
    ours.Pad: _pad,
    ours.UpsampleNearest: lambda twin, name, layer, taken: twin.functional.interpolate(
        taken[0], scale_factor=layer.scale, mode="nearest"
    ),
    ours.BedOfNails: _bed_of_nails,
    ours.UpsampleBilinear: _bilinear,
    ours.BilinearTranspose2d: _bilinear_transpose,
    ours.Scale: lambda twin, name, layer, taken: taken[0] * layer.factor,
}
"""How PyTorch does each layer: (twin, step name, layer, inputs) → value, or (value, switches)."""
