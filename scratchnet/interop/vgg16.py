"""Initialize an encoder from VGG16 (Simonyan and Zisserman 2015, configuration D) trained on ImageNet.

FCN, DeconvNet and SegNet all start their encoders this way. The user provides the file: torchvision's
``vgg16-397923af.pth``, or anything with its names: ``features.N.weight`` and ``features.N.bias`` for the 13
convolutions, ``classifier.0`` and ``classifier.3`` for the first two fully connected layers, which FCN and DeconvNet
write as convolutions, fc6 and fc7.

Images must be preprocessed as in the weights' training. Torchvision's need RGB / 255, normalised by ImageNet's mean
and standard deviation (:data:`scratchnet.data.preprocessing.FIXED_STATISTICS`); those from Caffe need BGR minus a mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array, to_device_of
from scratchnet.interop.layouts import kernel_to_channels_last, linear_to_kernel
from scratchnet.interop.weight_files import read_weights
from scratchnet.layers.base import Layer
from scratchnet.layers.convolution import Conv2d
from scratchnet.network import Network
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import for_caller

_STEPS = [f"conv{i}_{j}" for i, count in enumerate((2, 2, 3, 3, 3), 1) for j in range(1, count + 1)]

CONVOLUTIONS = dict(zip(_STEPS, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), strict=True))
"""Index N of ``features.N`` for each step of the encoder. The other indices are ReLUs and pools."""

FULLY_CONNECTED = {"fc6": 0, "fc7": 3}
"""Index N of ``classifier.N``."""


@dataclass(frozen=True)
class InitialWeights:
    """Initial values of a network's parameters.

    Attributes
    ----------
    values : dict of str to Array
        Values by the parameter's name, in the layout used here.
    steps : tuple of str
        The steps whose parameters have values.
    left_out : tuple of str
        A remark for each of fc6 and fc7 that the network has but the file cannot initialise.
    """

    values: Mapping[str, Array]
    steps: tuple[str, ...]
    left_out: tuple[str, ...]

    def apply(self, network: Network) -> None:
        """Write the values into an allocated network."""
        parameters = network.parameters()
        for name, value in self.values.items():
            parameters[name].value[...] = to_device_of(parameters[name].value, value)


def read_vgg16(path: Path | str, network: Network) -> InitialWeights:
    """Read VGG16's weights from a file and convert them for a network, which need not be allocated.

    Parameters
    ----------
    path : Path or str
        A file of weights, see :func:`read_weights`.
    network : Network
        A network with steps ``conv1_1`` to ``conv5_3`` of VGG16's shapes. Steps ``fc6`` and ``fc7`` are initialised too
        if they have the shapes of VGG16's fully connected layers and the file has their weights.

    Raises
    ------
    UserError
        If the network's encoder does not have VGG16's shape, or the file is damaged or does not contain VGG16.
    """
    layers = _convolutions(network, path)
    weights = read_weights(path)
    values: dict[str, Array] = {}
    for step, number in CONVOLUTIONS.items():
        weight, bias = _pair(path, weights, f"features.{number}")
        kernel = kernel_to_channels_last(weight) if weight.ndim == 4 else weight
        if problem := _misfit(layers[step], kernel, bias):
            raise UserError(f"{path}: features.{number} does not fit {step}: {problem}; VGG16 needs the full width")
        values |= {f"{step}.weight": kernel, f"{step}.bias": bias}
    steps, left_out = [*CONVOLUTIONS], []
    for step, number in FULLY_CONNECTED.items():
        if step not in layers:
            continue
        if problem := _fully_connected(path, weights, step, f"classifier.{number}", layers[step], values):
            left_out.append(f"{step} starts at random: {problem}")
        else:
            steps.append(step)
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise UserError(f"{path}: the weights for {name} contain infinite or NaN values; get the file again")
    return InitialWeights(values, tuple(steps), tuple(left_out))


def _convolutions(network: Network, path: Path | str) -> dict[str, Conv2d]:
    """Return the network's convolutions by step name; raise a UserError if one of VGG16's is missing."""
    layers = {step.name: step.layer for step in network.steps if isinstance(step.layer, Conv2d)}
    if missing := [name for name in CONVOLUTIONS if name not in layers]:
        where = for_caller(f"--init-weights {path}", str(path))
        raise UserError(
            f"{where}: this model's encoder is not VGG16's, it has no convolution {missing[0]}; "
            "leave it out or choose a model with VGG16's encoder"
        )
    return layers


def _pair(path: Path | str, weights: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    """Return weight and bias of one of VGG16's layers."""
    keys = f"{name}.weight", f"{name}.bias"
    for key in keys:
        if key not in weights:
            held = f"{', '.join([*weights][:3])} …" if weights else "no named tensors"
            raise UserError(
                f"{path}: holds no '{key}', but {held}; expected torchvision's names of VGG16 without batch norm"
            )
        if weights[key].dtype.kind != "f":
            raise UserError(f"{path}: '{key}' is of type {weights[key].dtype}; expected floating-point numbers")
    return weights[keys[0]], weights[keys[1]]


def _fully_connected(
    path: Path | str, weights: Mapping[str, Array], step: str, name: str, layer: Layer, values: dict[str, Array]
) -> str | None:
    """Add the values of fc6 or fc7 to ``values``, or return the reason why the file cannot initialise it."""
    if f"{name}.weight" not in weights:
        return f"the file has no {name}"
    weight, bias = _pair(path, weights, name)
    kernel = layer.parameters["weight"].shape
    size = (kernel[0], kernel[1])
    fits = weight.ndim == 2 and weight.shape[1] % (size[0] * size[1]) == 0
    converted = linear_to_kernel(weight, size) if fits else weight
    problem = _misfit(layer, converted, bias)
    if problem is None:
        values |= {f"{step}.weight": converted, f"{step}.bias": bias}
    return problem


def _misfit(layer: Layer, weight: Array, bias: Array) -> str | None:
    """Describe a difference in shape from the layer's weight or bias; return None if there is none."""
    for key, array in (("weight", weight), ("bias", bias)):
        expected = layer.parameters[key].shape if key in layer.parameters else None
        if expected != array.shape:
            has = "none" if expected is None else "×".join(map(str, expected))
            return f"the {key} in the file is {'×'.join(map(str, array.shape))}, the model's is {has}"
    return None
