"""Convolution in groups on a GPU: the plain form's products, a few images at a time.

The products of all groups are one batched call. Only a few images have their columns in memory at a time.
"""

from scratchnet.arrays import Array
from scratchnet.engine.cuda.columns import split_columns
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.convolution import by_group, col2im, im2col
from scratchnet.ops.geometry import ConvSpec, Pair


def convolve(x: Array, weight: Array, bias: Array | None, conv: ConvSpec, output: Pair) -> Array:
    """Return the convolution, ``(n, *output, c_out)``."""
    y = pooled_empty(x, (len(x), *output, weight.shape[3]))
    for images in split_columns(x, conv, output):
        products = im2col(x[images], conv) @ by_group(weight, conv.groups)
        y[images] = products.swapaxes(0, 1).reshape(y[images].shape)
    if bias is not None:
        y += bias
    return y


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> Array:
    """Return dW as ``weight``, of which only the shape is used."""
    total = None
    for images in split_columns(x, conv, dy.shape[1:3]):
        term = im2col(x[images], conv).swapaxes(1, 2) @ by_group(dy[images], conv.groups)
        total = term if total is None else total + term
    assert total is not None
    dweight: Array = total.swapaxes(0, 1).reshape(weight.shape)
    return dweight


def input_gradient(dy: Array, weight: Array, size: Pair, conv: ConvSpec) -> Array:
    """Return dx ``(n, *size, c_in)``."""
    dx = pooled_empty(dy, (len(dy), *size, weight.shape[2] * conv.groups))
    matrices = by_group(weight, conv.groups).swapaxes(1, 2)
    for images in split_columns(dx, conv, dy.shape[1:3]):
        part = dx[images]
        part[...] = col2im(by_group(dy[images], conv.groups) @ matrices, part.shape, conv)
    return dx
