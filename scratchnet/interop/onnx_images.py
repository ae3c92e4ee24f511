"""Preprocessing of an image as part of an ONNX graph.

The graph repeats :meth:`scratchnet.data.Preprocessing.apply` and then what :class:`scratchnet.inference.Segmenter` does
with an image that it segments whole: pad it by reflection where the network crops a border, and further at the bottom
and right, up to the next multiple of the network's stride.
"""

import numpy as np

from scratchnet.data import Preprocessing
from scratchnet.data.preprocessing import MIN_STD
from scratchnet.interop.onnx_graph import Graph
from scratchnet.network import Network

FLOAT, ROWS_AND_COLUMNS = 1, (2, 3)


def preprocess(g: Graph, preprocessing: Preprocessing, image: str) -> str:
    """Convert an image (n, h, w, 3) uint8 to the network's input, (n, 3, h, w) float32, of the same size."""
    x = g.node("Transpose", g.node("Cast", image, to=FLOAT), perm=(0, 3, 1, 2))
    x = g.node("Mul", x, g.constant(np.array(1 / 255, np.float32)))
    if preprocessing.normalization == "image":
        return _normalize_each(g, x)
    if preprocessing.normalization != "none":
        mean, std = (
            g.constant(np.array(values, np.float32).reshape(1, 3, 1, 1))
            for values in (preprocessing.mean, preprocessing.std)
        )
        x = g.node("Div", g.node("Sub", x, mean), std)
    return g.node("Gather", x, g.integers(2, 1, 0), axis=1) if preprocessing.normalization == "caffe" else x


def _normalize_each(g: Graph, x: str) -> str:
    """Normalise every image by its own mean and standard deviation; a flat channel becomes the mean of the others."""
    x = g.node("Sub", x, _mean(g, x))
    std = g.node("Sqrt", _mean(g, g.node("Mul", x, x)))
    least = g.constant(np.array(MIN_STD, np.float32))
    x = g.node("Div", x, g.node("Max", std, least))
    flat = g.node("Less", std, least)
    uneven = g.node("Cast", g.node("Not", flat), to=FLOAT)
    total = g.node("ReduceSum", g.node("Mul", x, uneven), g.integers(1))
    count = g.node("Max", g.node("ReduceSum", uneven, g.integers(1)), g.constant(np.array(1, np.float32)))
    return g.node("Where", flat, g.node("Div", total, count), x)


def _mean(g: Graph, x: str) -> str:
    """Return the mean over rows and columns, first of every row: one float32 sum of many pixels would lose digits."""
    for axis in reversed(ROWS_AND_COLUMNS):
        x = g.node("ReduceMean", x, axes=(axis,))
    return x


def frame(g: Graph, network: Network, x: str) -> str:
    """Pad an image (n, 3, h, w) by reflection to a size that the network accepts."""
    border, stride = network.valid_margin, network.stride
    for axis in ROWS_AND_COLUMNS:
        size = g.node("Shape", x, start=axis, end=axis + 1)
        if border:
            x = _reflect(g, x, axis, border, g.integers(border))
        if stride > 1 and network.fixed_size is None:
            x = _reflect(g, x, axis, 0, g.node("Mod", g.node("Neg", size), g.integers(stride)))
    return x


def _reflect(g: Graph, x: str, axis: int, before: int, after: str) -> str:
    """Pad a map along an axis by ``before`` and ``after`` reflected rows, repeating the border row (period 2·size)."""
    size = g.node("Shape", x, start=axis, end=axis + 1)
    first, end = g.integers(-before), g.node("Add", size, after)
    first, end = (g.node("Squeeze", value) for value in (first, end))
    rows = g.node("Range", first, end, g.constant(np.array(1, np.int64)))
    double = g.node("Add", size, size)
    there = g.node("Mod", rows, double)
    back = g.node("Sub", g.node("Sub", double, g.integers(1)), there)
    return g.node("Gather", x, g.node("Min", there, back), axis=axis)
