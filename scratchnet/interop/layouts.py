"""Conversion between channels last, as here, and channels first, as in PyTorch, Caffe and ONNX.

================================ =================================== ===================================
array                            here                                PyTorch, Caffe and ONNX
================================ =================================== ===================================
images and maps                  (n, h, w, c)                        (n, c, h, w)
weight of a convolution          (kh, kw, c_in / groups, c_out)      (c_out, c_in / groups, kh, kw)
weight of a transposed one       (kh, kw, c_out / groups, c_in)      (c_in, c_out / groups, kh, kw)
weight of a fully connected      (h, w, c, c_out), a convolution     (c_out, c · h · w)
layer on a map of (h, w, c)      that sees the whole map
================================ =================================== ===================================

Biases, and scale and shift of batch norm, are vectors everywhere.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.ops.geometry import Pair


def maps_to_channels_first(maps: Array) -> Array:
    """Convert maps (n, h, w, c) to (n, c, h, w)."""
    return np.ascontiguousarray(maps.transpose(0, 3, 1, 2))


def maps_to_channels_last(maps: Array) -> Array:
    """Convert maps (n, c, h, w) to (n, h, w, c)."""
    return np.ascontiguousarray(maps.transpose(0, 2, 3, 1))


def kernel_to_channels_first(weight: Array) -> Array:
    """Convert the weight of a (transposed, grouped) convolution to PyTorch's and ONNX's layout.

    >>> kernel_to_channels_first(np.zeros((3, 5, 16, 32))).shape
    (32, 16, 3, 5)
    """
    return np.ascontiguousarray(weight.transpose(3, 2, 0, 1))


def kernel_to_channels_last(weight: Array) -> Array:
    """Convert PyTorch's or ONNX's weight of a (transposed) convolution to the layout used here.

    >>> kernel_to_channels_last(np.zeros((32, 16, 3, 5))).shape
    (3, 5, 16, 32)
    """
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0))


def linear_to_kernel(weight: Array, size: Pair) -> Array:
    """Convert the weight of a fully connected layer to that of the equivalent convolution.

    Parameters
    ----------
    weight : (c_out, c · h · w)
    size : (h, w)
        Size of the layer's input map, which is flattened channel by channel.

    Returns
    -------
    (h, w, c, c_out)

    >>> linear_to_kernel(np.zeros((4096, 25088)), (7, 7)).shape
    (7, 7, 512, 4096)
    """
    return kernel_to_channels_last(weight.reshape(len(weight), -1, *size))
