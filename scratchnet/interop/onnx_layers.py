"""Translation of every layer to ONNX operations, channels first.

Most are one operation. The exceptions:

- Pooling in ceil mode: runtimes disagree about windows that hang over the edge, and refuse to unpool to an odd size.
  So the map is first padded with −∞ until its windows fit, and cropped after the unpooling.
- Unpooling where windows overlap: ONNX's MaxUnpool keeps one of several values for a pixel, but here they are summed,
  as ScatterElements does with ``reduction="add"``.
- Sizes are computed when the graph runs, so that one file serves images of all sizes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.interop.layouts import kernel_to_channels_first
from scratchnet.interop.onnx_graph import Graph
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
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    ReLU,
    Scale,
    Shape,
    SyncBatchNorm2d,
    UpsampleBilinear,
    UpsampleNearest,
)
from scratchnet.layers.builtin import is_builtin
from scratchnet.layers.initialization import bilinear
from scratchnet.network import Network, Step
from scratchnet.ops.geometry import Pair
from scratchnet.utils.errors import UserError


@dataclass(frozen=True)
class Pooled:
    """A pooling whose switches an unpooling uses: the layer, and the names of its indices, input and padded input."""

    layer: MaxPool2d
    indices: str
    source: str
    padded: str


@dataclass
class Translation:
    """The state of translating a network to a graph.

    Attributes
    ----------
    graph : Graph
    shapes : dict of str to Shape
        Shape of every value, for an image of any size; only the channels are used.
    values : dict of str to str
        Name in the graph of every value translated so far.
    pools : dict of str to Pooled
        Poolings by the name of their switches.
    """

    graph: Graph
    shapes: dict[str, Shape]
    values: dict[str, str] = field(default_factory=dict)
    pools: dict[str, Pooled] = field(default_factory=dict)

    def parameter(self, step: Step, key: str) -> str:
        """Add a parameter or buffer of a step as a constant."""
        layer = step.layer
        value = layer.parameters[key].value if key in layer.parameters else layer.buffers[key].value
        array: Array = kernel_to_channels_first(value) if value.ndim == 4 else value
        return self.graph.constant(array.astype(np.float32), f"{step.name}.{key}")


def translate(graph: Graph, network: Network, x: str, shapes: dict[str, Shape]) -> tuple[str, dict[str, Pooled]]:
    """Append a network to a graph.

    Parameters
    ----------
    graph : Graph
    network : Network
        An allocated network. Batch norm is translated with the statistics that it currently uses.
    x : str
        Name of the network's input in the graph, (n, c, h, w).
    shapes : dict of str to Shape
        Result of :meth:`Network.shapes` for any size.

    Returns
    -------
    output : str
        Name of the last value.
    pools : dict of str to Pooled
        The poolings whose switches are used, by the name of the switches.

    Raises
    ------
    UserError
        If a layer has no translation.
    """
    translation = Translation(graph, shapes, {"input": x})
    used = {name for step in network.steps for name in step.inputs}
    for step in network.steps:
        inputs = [translation.values.get(name, name) for name in step.inputs]
        if type(step.layer) not in LAYERS:
            raise UserError(f"step '{step.name}': {type(step.layer).__name__} cannot be exported to ONNX")
        if not is_builtin(step.layer):
            kind = type(step.layer).__name__
            raise UserError(f"step '{step.name}': a method of this {kind} was replaced; it cannot be exported to ONNX")
        translation.values[step.name] = LAYERS[type(step.layer)](translation, step, step.layer, *inputs)
        for value in set(step.extra_values) - used:
            del translation.pools[value]
    return translation.values[network.steps[-1].name], translation.pools


def _convolution(t: Translation, step: Step, layer: Conv2d, x: str) -> str:
    return _convolve(t, step, layer, "Conv", x)


def _transposed(t: Translation, step: Step, layer: ConvTranspose2d, x: str) -> str:
    return _convolve(t, step, layer, "ConvTranspose", x, output_padding=layer.output_padding)


def _convolve(t: Translation, step: Step, layer: Conv2d | ConvTranspose2d, kind: str, x: str, **more: Any) -> str:
    return t.graph.node(
        kind,
        x,
        *(t.parameter(step, key) for key in layer.parameters),
        output=step.name,
        kernel_shape=layer.kernel,
        strides=layer.stride,
        pads=layer.padding * 2,
        dilations=layer.dilation,
        group=layer.groups,
        **more,
    )


def _batch_norm(t: Translation, step: Step, layer: BatchNorm2d, x: str) -> str:
    """Translate fixed statistics to batch norm, and statistics of each image to ONNX's instance norm."""
    scale, shift = (t.parameter(step, key) for key in ("scale", "shift"))
    if layer.uses_batch:
        return t.graph.node("InstanceNormalization", x, scale, shift, output=step.name, epsilon=layer.eps)
    running = [t.parameter(step, key) for key in ("running_mean", "running_var")]
    return t.graph.node("BatchNormalization", x, scale, shift, *running, output=step.name, epsilon=layer.eps)


def _group_norm(t: Translation, step: Step, layer: GroupNorm, x: str) -> str:
    """Translate to instance norm on a map whose channels are the groups, each with the pixels of all its channels."""
    g, one = t.graph, np.ones(layer.groups, np.float32)
    parts = g.node("Reshape", x, g.integers(0, layer.groups, -1))
    flat = g.node("InstanceNormalization", parts, g.constant(one), g.constant(0 * one), epsilon=layer.eps)
    x_hat = g.node("Reshape", flat, g.node("Shape", x))
    scale, shift = (
        g.constant(layer.parameters[key].value.astype(np.float32).reshape(-1, 1, 1), f"{step.name}.{key}")
        for key in ("scale", "shift")
    )
    return g.node("Add", g.node("Mul", x_hat, scale), shift, output=step.name)


def _lrn(t: Translation, step: Step, layer: LocalResponseNorm, x: str) -> str:
    return t.graph.node(
        "LRN", x, output=step.name, size=layer.size, alpha=layer.alpha, beta=layer.beta, bias=1.0
    )  # fmt: skip


def _relu(t: Translation, step: Step, layer: ReLU, x: str) -> str:
    return t.graph.node("Relu", x, output=step.name)


def _leaky_relu(t: Translation, step: Step, layer: LeakyReLU, x: str) -> str:
    return t.graph.node("LeakyRelu", x, output=step.name, alpha=layer.negative_slope)


def _scale(t: Translation, step: Step, layer: Scale, x: str) -> str:
    return t.graph.node("Mul", x, t.graph.constant(np.array(layer.factor, np.float32)), output=step.name)


def _dropout(t: Translation, step: Step, layer: Dropout, x: str) -> str:
    """Return the input: nothing is dropped outside training."""
    return x


def _max_pool(t: Translation, step: Step, layer: MaxPool2d, x: str) -> str:
    padded = _padded(t.graph, layer, x) if layer.ceil_mode else x
    pooled = Pooled(layer, f"{step.name}.indices", x, padded)
    t.pools[f"{step.name}.switches"] = pooled
    window: dict[str, Any] = {"kernel_shape": layer.kernel, "strides": layer.stride, "pads": layer.padding * 2}
    return t.graph.node("MaxPool", padded, output=step.name, more=(pooled.indices,), **window)


def _padded(g: Graph, layer: MaxPool2d, x: str) -> str:
    """Pad a map with −∞ at the bottom and right until the last window, if it counts, fits.

    The calculation is that of in :func:`scratchnet.ops.geometry.windows`.
    """
    k, s, p = layer.kernel, layer.stride, layer.padding
    stride, size = g.integers(*s), g.size(x)
    span = g.node("Add", size, g.integers(*(2 * p[i] - k[i] + s[i] - 1 for i in (0, 1))))
    last = g.node("Div", span, stride)
    edge = g.node("Add", size, g.integers(*p))
    outside = g.node("GreaterOrEqual", g.node("Mul", last, stride), edge)
    last = g.node("Sub", last, g.node("Cast", outside, to=7))  # 7: int64
    end = g.node("Add", g.node("Mul", last, stride), g.integers(*(k[i] - 2 * p[i] for i in (0, 1))))
    extra = g.node("Max", g.node("Sub", end, size), g.integers(0, 0))
    amounts = g.node("Concat", g.integers(0, 0, 0, 0, 0, 0), extra, axis=0)
    return g.node("Pad", x, amounts, g.constant(np.array(-np.inf, np.float32)))


def _max_unpool(t: Translation, step: Step, layer: MaxUnpool2d, x: str, switches: str) -> str:
    g, pooled = t.graph, t.pools[switches]
    pool, shape = pooled.layer, g.node("Shape", pooled.padded)
    if pool.stride[0] < pool.kernel[0] or pool.stride[1] < pool.kernel[1]:
        flat, places = (g.node("Reshape", value, g.integers(-1)) for value in (x, pooled.indices))
        zeros = g.node("ConstantOfShape", g.node("ReduceProd", shape, keepdims=1))
        y = g.node("ScatterElements", zeros, places, flat, axis=0, reduction="add")
        y = g.node("Reshape", y, shape)
    else:
        window: dict[str, Any] = {"kernel_shape": pool.kernel, "strides": pool.stride, "pads": pool.padding * 2}
        y = g.node("MaxUnpool", x, pooled.indices, shape, **window)
    return g.cut(y, g.integers(0, 0), g.size(pooled.source)) if pooled.padded != pooled.source else y


def _nearest(t: Translation, step: Step, layer: UpsampleNearest, x: str) -> str:
    return _resize(t, step, layer, x, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def _interpolate(t: Translation, step: Step, layer: UpsampleBilinear, x: str) -> str:
    return _resize(t, step, layer, x, mode="linear", coordinate_transformation_mode="half_pixel")


def _resize(t: Translation, step: Step, layer: UpsampleNearest | UpsampleBilinear, x: str, **how: str) -> str:
    scales = t.graph.constant(np.array([1, 1, *layer.scale], np.float32))
    return t.graph.node("Resize", x, "", scales, output=step.name, **how)


def _bed_of_nails(t: Translation, step: Step, layer: BedOfNails, x: str) -> str:
    """Translate to a transposed convolution with a kernel of one pixel."""
    return _spread(t, step, x, np.ones((1, 1)), layer.scale, output_padding=[s - 1 for s in layer.scale])


def _bilinear_transposed(t: Translation, step: Step, layer: BilinearTranspose2d, x: str) -> str:
    f = layer.factor
    kernel = bilinear(np.random.default_rng(0), (2 * f, 2 * f, 1, 1))[:, :, 0, 0]
    return _spread(t, step, x, kernel, (f, f))


def _spread(t: Translation, step: Step, x: str, kernel: Array, stride: Pair, **more: Any) -> str:
    """Add a depthwise transposed convolution with the same kernel (kh, kw) for every channel."""
    c = t.shapes[step.name][3]
    weight = np.broadcast_to(kernel, (c, 1, *kernel.shape)).astype(np.float32)
    more |= {"kernel_shape": kernel.shape, "strides": stride, "group": c}
    return t.graph.node("ConvTranspose", x, t.graph.constant(weight), output=step.name, **more)


def _concatenate(t: Translation, step: Step, layer: Concatenate, *maps: str) -> str:
    return t.graph.node("Concat", *maps, output=step.name, axis=1)


def _add(t: Translation, step: Step, layer: Add, *maps: str) -> str:
    return t.graph.node("Sum", *maps, output=step.name)


def _crop(t: Translation, step: Step, layer: Crop, x: str, like: str) -> str:
    g = t.graph
    size = g.size(like)
    if layer.margin != (0, 0):
        size = g.node("Sub", size, g.integers(*(2 * m for m in layer.margin)))
    if layer.offset is None:
        begin = g.node("Div", g.node("Sub", g.size(x), size), g.integers(2, 2))
    else:
        begin = g.integers(*layer.offset)
    return g.cut(x, begin, g.node("Add", begin, size))


def _pad(t: Translation, step: Step, layer: Pad, x: str) -> str:
    return t.graph.node("Pad", x, t.graph.integers(0, 0, *layer.padding, 0, 0, *layer.padding), output=step.name)


Translator: TypeAlias = Callable[..., str]
"""Function (translation, step, layer, names of the inputs) → name of the result."""

LAYERS: dict[type[Layer], Translator] = {
    Add: _add,
    BatchNorm2d: _batch_norm,
    SyncBatchNorm2d: _batch_norm,
    BedOfNails: _bed_of_nails,
    BilinearTranspose2d: _bilinear_transposed,
    Concatenate: _concatenate,
    Conv2d: _convolution,
    ConvTranspose2d: _transposed,
    Crop: _crop,
    Dropout: _dropout,
    GroupNorm: _group_norm,
    LeakyReLU: _leaky_relu,
    LocalResponseNorm: _lrn,
    MaxPool2d: _max_pool,
    MaxUnpool2d: _max_unpool,
    Pad: _pad,
    ReLU: _relu,
    Scale: _scale,
    UpsampleBilinear: _interpolate,
    UpsampleNearest: _nearest,
}

UNTRANSLATABLE: frozenset[type[Layer]] = frozenset()
"""Layers of the package that ONNX cannot express; a test requires every other layer in :data:`LAYERS`."""
