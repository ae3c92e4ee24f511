"""Receptive field of a pixel in earlier layers, and the pixels that it influences in later layers.

Going back from one pixel, layer by layer, its receptive field grows. Without upsampling, its length follows the
well-known sum over the layers l with kernel k, dilation d and stride s, where j is the distance in the image between
two neighbouring pixels:

    length = 1 + Σ (k_l − 1)·d_l·j_(l−1)        j_l = s_1·s_2 … s_l

The functions propagate the sets of pixels themselves, rows and columns separately, since every layer is separable (see
`connections`). Gaps between dilated taps, borders, skip connections and upsampling are therefore exact, and the
rectangle around a set is the smallest one. Switches are included: they depend on the window from which they were
chosen. The statistics of group norm, and of batch norm in training, depend on every pixel; this is not counted, nor is
the normalisation of the image.

See Dumoulin and Visin (2016), "A guide to convolution arithmetic", and Araujo, Norris, Sim (2019), "Computing receptive
fields of convolutional neural networks".
"""

from typing import NamedTuple, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.layers.base import Shape
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.visualization.graph.connectivity import Connection, connections


class Rectangle(NamedTuple):
    """Rows ``top … bottom − 1`` and columns ``left … right − 1`` of a map."""

    top: int
    left: int
    bottom: int
    right: int


Pixels: TypeAlias = tuple[Array, Array]
"""Marked rows and marked columns, bool."""


def receptive_fields(net: Network, size: Pair, name: str, pixel: Pair) -> dict[str, Rectangle]:
    """Return the receptive field of one pixel: the smallest enclosing rectangle in every earlier value.

    Parameters
    ----------
    net : Network
        Its parameters need not be allocated.
    size : (h, w)
        Size of the image.
    name : str
        The value that contains the pixel: a step's name, or "input".
    pixel : (row, column)

    Returns
    -------
    dict
        Rectangle by name of the value, including ``"input"``. Values on which the pixel does not depend are omitted,
        and so is an input of which it sees only padding.

    Raises
    ------
    ValueError
        If the value or pixel does not exist.

    Examples
    --------
    >>> from scratchnet.models import deconvnet_small
    >>> receptive_fields(deconvnet_small(), (64, 64), "pool1", (7, 7))["input"]
    Rectangle(top=12, left=12, bottom=18, right=18)

    """
    table, shapes, marked = _start(net, size, name, pixel)
    for value in reversed(list(shapes)):
        for link in table.get(value, ()) if value in marked else ():
            h, w = shapes[link.source][1:3]
            rows, columns = marked[value]
            _mark(marked, link.source, link.window.back(rows, 0, h), link.window.back(columns, 1, w))
    return _rectangles(marked)


def projective_fields(net: Network, size: Pair, name: str, pixel: Pair) -> dict[str, Rectangle]:
    """Return the pixels that one pixel influences: a rectangle in every later value; see `receptive_fields`."""
    table, shapes, marked = _start(net, size, name, pixel)
    for value, before in table.items():
        for link in before:
            if link.source in marked:
                h, w = shapes[value][1:3]
                rows, columns = marked[link.source]
                _mark(marked, value, link.window.forth(rows, 0, h), link.window.forth(columns, 1, w))
    return _rectangles(marked)


def _start(
    net: Network, size: Pair, name: str, pixel: Pair
) -> tuple[dict[str, list[Connection]], dict[str, Shape], dict[str, Pixels]]:
    table, every = connections(net, size), net.shapes(size)
    shapes = {value: every[value.removesuffix(".switches")] for value in ("input", *table)}
    if name not in shapes:
        raise ValueError(f"the network has no value '{name}'")
    h, w = shapes[name][1:3]
    y, x = pixel
    if not (0 <= y < h and 0 <= x < w):
        raise ValueError(f"'{name}' has {h}×{w} pixels; row {y}, column {x} does not exist")
    return table, shapes, {name: (np.arange(h) == y, np.arange(w) == x)}


def _mark(marked: dict[str, Pixels], name: str, rows: Array, columns: Array) -> None:
    """Add pixels to those of a value, unless all of them are outside its border."""
    if rows.any() and columns.any():
        before = marked.get(name, (False, False))
        marked[name] = (rows | before[0], columns | before[1])


def _rectangles(marked: dict[str, Pixels]) -> dict[str, Rectangle]:
    ends = {name: (rows.nonzero()[0], columns.nonzero()[0]) for name, (rows, columns) in marked.items()}
    return {
        name: Rectangle(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
        for name, (rows, columns) in ends.items()
    }
