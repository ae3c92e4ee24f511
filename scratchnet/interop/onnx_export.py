"""Export of a trained network as an ONNX file.

The model accepts images as an image library returns them and includes all preprocessing:

- ``image``, (n, height, width, 3) uint8: red, green and blue from 0 to 255;
- ``scores``, (n, height, width, k) float32: the network's output;
- ``probabilities``, (n, height, width, classes) float32: their softmax, or the sigmoid of the single score and its
  complement.

Batch and, unless the network has one fixed size, height and width are free.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet import __version__
from scratchnet.data import Preprocessing
from scratchnet.interop.onnx_graph import Graph, Port, to_model
from scratchnet.interop.onnx_images import frame, preprocess
from scratchnet.interop.onnx_layers import Pooled, translate
from scratchnet.layers import Shape
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair


@dataclass(frozen=True)
class Exported:
    """An ONNX model, with the information needed to compare it with the network.

    Attributes
    ----------
    model : onnx.ModelProto
    inputs, outputs : tuple of Port
    pools : dict of str to Pooled
        Poolings whose switches are used, by the name of the switches.
    """

    model: Any
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    pools: Mapping[str, Pooled]


def export_onnx(
    network: Network, preprocessing: Preprocessing, classes: tuple[str, ...], name: str, size: Pair, fixed: bool = False
) -> Exported:
    """Translate a network to an ONNX model.

    Parameters
    ----------
    network : Network
        An allocated network in evaluation mode; batch norm uses its current statistics.
    preprocessing : Preprocessing
        The preprocessing of the training, except for its resizing, which is left to the caller.
    classes : tuple of str
    name : str
        Name of the model.
    size : (h, w)
        Size of an image that the network accepts.
    fixed : bool
        Whether the model accepts images of this size only.

    Raises
    ------
    UserError
        If onnx is missing, a layer has no translation, or the file would be too large.
    ValueError
        If the network does not accept the size.
    """
    graph = Graph()
    shapes = network.shapes(padded_size(network, size))
    pools = _add_network(graph, network, preprocessing, shapes)
    inputs, outputs = _ports(network, size, fixed, shapes[network.steps[-1].name], len(classes))
    metadata = {
        "scratchnet": __version__,
        "model": name,
        "classes": json.dumps(classes, ensure_ascii=False),
        "preprocessing": json.dumps(preprocessing.to_dict()),
    }
    model = to_model(graph, name, inputs, outputs, _about(network, preprocessing), metadata)
    return Exported(model, inputs, outputs, pools)


def padded_size(network: Network, size: Pair) -> Pair:
    """Return the size of an image of ``size`` with the network's border, padded to a multiple of its stride."""
    s, both = network.stride, 2 * network.valid_margin
    return -(-size[0] // s) * s + both, -(-size[1] // s) * s + both


def _add_network(
    graph: Graph, network: Network, preprocessing: Preprocessing, shapes: dict[str, Shape]
) -> dict[str, Pooled]:
    """Add preprocessing, network, scores and probabilities to a graph; return the poolings whose switches are used."""
    image = preprocess(graph, preprocessing, "image")
    framed = frame(graph, network, image)
    y, pools = translate(graph, network, framed, shapes)
    if framed != image:
        y = graph.cut(y, graph.integers(0, 0), graph.size(image))
    scores = graph.node("Transpose", y, output="scores", perm=(0, 2, 3, 1))
    if shapes[network.steps[-1].name][3] > 1:
        graph.node("Softmax", scores, output="probabilities", axis=-1)
    else:
        p = graph.node("Sigmoid", scores)
        complement = graph.node("Sub", graph.constant(np.array(1, np.float32)), p)
        graph.node("Concat", complement, p, output="probabilities", axis=3)
    return pools


def _ports(
    network: Network, size: Pair, fixed: bool, output: Shape, classes: int
) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Return the inputs and outputs of the model; ``output`` is the shape of the network's output."""
    free = not fixed and network.fixed_size is None
    hw: tuple[int | str, ...] = ("height", "width") if free else size
    output_hw = hw if network.fixed_size is None else output[1:3]
    scores = Port("scores", np.float32, ("n", *output_hw, output[3]))
    probabilities = Port("probabilities", np.float32, ("n", *output_hw, classes))
    return (Port("image", np.uint8, ("n", *hw, 3)),), (scores, probabilities)


def _about(network: Network, preprocessing: Preprocessing) -> str:
    """Return instructions for the file's users, which it contains as its description."""
    lines = [
        "image: RGB, 0 to 255, channels last, as Pillow gives it; normalised inside.",
        "scores, probabilities: channels last; the class of a pixel is the argmax over the last axis.",
    ]
    if preprocessing.range is not None:
        low, high = preprocessing.range
        lines.append(
            f"Images of more than 8 bits: clip (x - {low:g}) / ({high:g} - {low:g}) to 0..1, times 255, rounded."
        )
    if preprocessing.resize is not None:
        h, w = preprocessing.resize
        lines.append(f"Resize images to {h}x{w} (height x width) first, as in training.")
    if network.fixed_size is not None:
        lines.append("The network takes this one size; cut larger images into tiles.")
    elif network.stride > 1:
        lines.append(f"Any size from {network.stride} pixels on.")
    return "\n".join(lines)
