"""Conversion of switches between three notations.

Libraries number the position of a window's maximum differently. Take the 9 in a map of 4×4 pixels, at row 0, column 1
of channel c of image n, in the upper left window of 2×2:

====================== ==================================== ============================ =====
notation               position                             formula                      here
====================== ==================================== ============================ =====
scratchnet, SegNet's   inside the window                    i · kw + j                   1
2 bits
PyTorch                inside the plane before pooling      row · w + column             1
ONNX                   inside the whole array (n, c, h, w)  ((n · C + c) · h + row) · w  1 + …
                                                            + column
====================== ==================================== ============================ =====

PyTorch's and ONNX's arrays are (n, c, oh, ow) int64: eight bytes per window, although one byte or two bits suffice.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.interop.layouts import maps_to_channels_first, maps_to_channels_last
from scratchnet.ops.geometry import Pair, pair
from scratchnet.ops.switches import Switches


def to_torch(switches: Switches) -> Array:
    """Return the indices that ``torch.nn.MaxUnpool2d`` takes, (n, c, oh, ow) int64.

    >>> from scratchnet.ops.pooling import max_pool2d
    >>> x = np.array([[3, 9, 6, 2], [5, 2, 1, 8], [12, 3, 9, 7], [2, 5, 6, 2]], float).reshape(1, 4, 4, 1)
    >>> to_torch(max_pool2d(x, 2)[1])[0, 0]
    array([[ 1,  7],
           [ 8, 10]])
    """
    i, j = np.divmod(switches.index.astype(np.int64), switches.kernel[1])
    top, left = _corners(switches.index.shape[1:3], switches.stride, switches.padding)
    return maps_to_channels_first((top + i) * switches.size[1] + left + j)


def from_torch(
    indices: Array,
    size: Pair,
    kernel: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
) -> Switches:
    """Return the switches of the pooling that made PyTorch's indices.

    Parameters
    ----------
    indices : (n, c, oh, ow) integers
    size : (h, w)
        Size of the map before pooling.
    kernel, stride, padding : int or (vertical, horizontal)
        Settings of the pooling; ``stride=None`` means the kernel.

    Raises
    ------
    ValueError
        If an index is outside its window because the indices come from another pool.
    """
    k = pair(kernel, "kernel", 1)
    s, p = pair(k if stride is None else stride, "stride", 1), pair(padding, "padding", 0)
    flat = maps_to_channels_last(indices)
    row, column = np.divmod(flat, size[1])
    top, left = _corners(flat.shape[1:3], s, p)
    i, j = row - top, column - left
    if ((i < 0) | (i >= k[0]) | (j < 0) | (j >= k[1]) | (row < 0) | (row >= size[0])).any():
        raise ValueError(
            f"from_torch: indices point outside their windows of {k[0]}×{k[1]} on a map of {size[0]}×{size[1]}; "
            "give the size, kernel, stride and padding of the pooling that made them"
        )
    return Switches((i * k[1] + j).astype(np.uint8 if k[0] * k[1] <= 256 else np.uint16), size, k, s, p)


def to_onnx(switches: Switches) -> Array:
    """Return the indices that ONNX's MaxUnpool takes, (n, c, oh, ow) int64.

    >>> from scratchnet.ops.pooling import max_pool2d
    >>> x = np.array([[3, 9, 6, 2], [5, 2, 1, 8], [12, 3, 9, 7], [2, 5, 6, 2]], float).reshape(1, 4, 4, 1)
    >>> to_onnx(max_pool2d(np.concatenate([x, x], axis=3), 2)[1])[0]
    array([[[ 1,  7],
            [ 8, 10]],
           [[17, 23],
            [24, 26]]])
    """
    indices = to_torch(switches)
    return indices + _planes(indices, switches.size)


def from_onnx(
    indices: Array,
    size: Pair,
    kernel: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
) -> Switches:
    """Return the switches of the pooling that made ONNX's indices; arguments and errors as in :func:`from_torch`."""
    return from_torch(indices - _planes(indices, size), size, kernel, stride, padding)


def _corners(count: tuple[int, ...], stride: Pair, padding: Pair) -> tuple[Array, Array]:
    """Return the row (oh, 1, 1) and column (ow, 1) of every window's upper left corner on the map."""
    top, left = (np.arange(count[axis]) * stride[axis] - padding[axis] for axis in (0, 1))
    return top[:, None, None], left[:, None]


def _planes(indices: Array, size: Pair) -> Array:
    """Return the index of every plane's first element, (n, c, 1, 1)."""
    n, c = indices.shape[:2]
    first: Array = np.arange(n * c).reshape(n, c, 1, 1) * (size[0] * size[1])
    return first
