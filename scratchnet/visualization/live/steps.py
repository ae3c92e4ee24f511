"""Description of a network for the page's script: a list of steps with their settings, and the parameters.

The script (``assets/engine.js``) knows the layers of this package, in evaluation mode. All output sizes are computed
here, so that the script needs no geometry.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from scratchnet import layers
from scratchnet.arrays import Array, to_host
from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.builtin import is_builtin
from scratchnet.network import Network
from scratchnet.network.step import Step
from scratchnet.ops.geometry import Pair
from scratchnet.utils.errors import UserError
from scratchnet.visualization.live.weights import Parameters

Settings: TypeAlias = dict[str, Any]
"""Entries of a step in the page's JSON."""


def describe_steps(network: Network, size: Pair, parameters: Parameters) -> list[Settings]:
    """Return the steps of a network for an input of ``size`` (h, w), and add its parameters to ``parameters``.

    Values are numbered: 0 is the input, i + 1 the output of step i. A step that takes switches names the value of the
    pooling.

    Raises
    ------
    UserError
        If the page's script cannot compute one of the layers.
    """
    check_layers(network)
    shapes = network.shapes(size)
    numbers = {"input": 0, **{step.name: i for i, step in enumerate(network.steps, 1)}}
    return [_describe(step, shapes, numbers, parameters) for step in network.steps]


def check_layers(network: Network) -> None:
    """Raise a UserError if the page's script cannot compute one of the layers."""
    for step in network.steps:
        if type(step.layer) not in WRITERS or not is_builtin(step.layer):
            raise UserError(
                f"--live: the page's script does not know the layer {type(step.layer).__name__} (step '{step.name}'); "
                "leave out --live"
            )


def _describe(step: Step, shapes: Mapping[str, Shape], numbers: Mapping[str, int], parameters: Parameters) -> Settings:
    """Return the entries of one step."""
    taken = [shapes[name] for name in step.inputs]
    return {
        "name": step.name,
        "inputs": [numbers[name.partition(".")[0]] for name in step.inputs],
        "size": shapes[step.name][1:],
        **WRITERS[type(step.layer)](step.layer, taken, parameters),
    }


def _convolution(layer: Any, taken: Sequence[Shape], parameters: Parameters) -> Settings:
    """Return the settings of a convolution or transposed convolution."""
    bias = layer.parameters.get("bias")
    return {
        "op": layer.kind,
        "channels": layer.channels,
        "kernel": layer.kernel,
        "stride": layer.stride,
        "padding": layer.padding,
        "dilation": layer.dilation,
        "groups": layer.groups,
        "weight": parameters.add_kernel(layer.parameters["weight"].value),
        "bias": None if bias is None else parameters.add_vector(bias.value),
    }


def _batch_norm(layer: Any, taken: Sequence[Shape], parameters: Parameters) -> Settings:
    """Return a factor and a shift per channel, or a normalisation with the statistics of the image."""
    gamma, beta = layer.parameters["scale"].value, layer.parameters["shift"].value
    if layer.uses_batch:
        return _normalization(layer, layer.channels, parameters)
    mean, variance = (_double(layer.buffers[name].value) for name in ("running_mean", "running_var"))
    scale = _double(gamma) / np.sqrt(variance + layer.eps)
    return {
        "op": "affine",
        "scale": parameters.add_vector(scale),
        "shift": parameters.add_vector(_double(beta) - mean * scale),
    }


def _group_norm(layer: Any, taken: Sequence[Shape], parameters: Parameters) -> Settings:
    return _normalization(layer, layer.groups, parameters)


def _normalization(layer: Any, groups: int, parameters: Parameters) -> Settings:
    """Return a normalisation over groups of channels."""
    scale, shift = (parameters.add_vector(layer.parameters[name].value) for name in ("scale", "shift"))
    return {"op": "group_norm", "groups": groups, "eps": layer.eps, "scale": scale, "shift": shift}


def _pool(layer: Any, taken: Sequence[Shape], parameters: Parameters) -> Settings:
    return {"op": "pool", "kernel": layer.kernel, "stride": layer.stride, "padding": layer.padding}


def _crop(layer: Any, taken: Sequence[Shape], parameters: Parameters) -> Settings:
    return {"op": "shift", "offset": layer.begin(*taken)}


def _pad(layer: Any, taken: Sequence[Shape], parameters: Parameters) -> Settings:
    return {"op": "shift", "offset": (-layer.padding[0], -layer.padding[1])}


def _lrn(layer: Any, taken: Sequence[Shape], parameters: Parameters) -> Settings:
    return {"op": "lrn", "window": layer.size, "alpha": layer.alpha, "beta": layer.beta}


def _double(array: Array) -> Array:
    values: Array = to_host(array).astype(np.float64)
    return values


def _same(op: str, **names: str) -> Callable[[Any, Sequence[Shape], Parameters], Settings]:
    """Return a writer for a layer whose entries are attributes of the layer: entry=attribute."""

    def write(layer: Any, taken: Sequence[Shape], parameters: Parameters) -> Settings:
        return {"op": op, **{entry: getattr(layer, attribute) for entry, attribute in names.items()}}

    return write


def _constant(op: str, **settings: float) -> Callable[[Any, Sequence[Shape], Parameters], Settings]:
    """Return a writer for a layer whose entries do not depend on the layer."""
    return lambda layer, taken, parameters: {"op": op, **settings}


WRITERS: dict[type[Layer], Callable[[Any, Sequence[Shape], Parameters], Settings]] = {
    layers.Conv2d: _convolution,
    layers.ConvTranspose2d: _convolution,
    layers.BatchNorm2d: _batch_norm,
    layers.SyncBatchNorm2d: _batch_norm,
    layers.GroupNorm: _group_norm,
    layers.LocalResponseNorm: _lrn,
    layers.MaxPool2d: _pool,
    layers.MaxUnpool2d: _constant("unpool"),
    layers.UpsampleNearest: _same("nearest", factor="scale"),
    layers.BedOfNails: _same("nails", factor="scale"),
    layers.UpsampleBilinear: _constant("bilinear"),
    layers.BilinearTranspose2d: _same("tent", factor="factor"),
    layers.ReLU: _constant("leaky_relu", slope=0),
    layers.LeakyReLU: _same("leaky_relu", slope="negative_slope"),
    layers.Dropout: _constant("multiply", factor=1),
    layers.Scale: _same("multiply", factor="factor"),
    layers.Concatenate: _constant("concat"),
    layers.Add: _constant("add"),
    layers.Crop: _crop,
    layers.Pad: _pad,
}
"""Layers that the page's script knows, and the functions that write their settings."""
