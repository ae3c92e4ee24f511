"""Convolution on a GPU: forward and both gradients, by the algorithm that suits the layer (:mod:`.conv_algorithm`).

All algorithms without groups are matrix products of one kind or another. Depthwise convolution, with one group per
channel, is a loop over the window (``depthwise.cu``); other groups take the plain form's products (``grouped``). The
input gradient at stride 1 is again a convolution, with the rotated kernel, and uses the algorithm of that convolution.

The functions of the names in ``ops`` take the settings one by one; the others here take a :class:`ConvSpec`.
"""

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.cuda import depthwise, grouped, implicit, shifted, winograd
from scratchnet.engine.cuda.channel_sums import channel_sums
from scratchnet.engine.cuda.columns import col2im, im2col, split_columns
from scratchnet.engine.cuda.conv_algorithm import Algorithm, choose, choose_products, thresholds
from scratchnet.engine.cuda.gemm import product, product_over_rows
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import ConvSpec, Pair, pair


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    after: Epilogue | None = None,
) -> Array:
    """Return the convolution of ``x`` with ``weight``."""
    y = convolve(x, weight, bias, ConvSpec.of(weight, stride, padding, dilation, groups))
    return y if after is None else after.of(y)


def conv2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    needs_input_grad: bool = True,
    needs_bias_grad: bool = True,
    out: Array | None = None,
) -> tuple[Array | None, Array, Array | None]:
    """Return dx, dweight and dbias; ``out`` is not used."""
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    dbias = channel_sums(dy) if needs_bias_grad else None
    dweight = weight_gradient(dy, x, weight, conv)
    return input_gradient(dy, weight, x.shape[1:3], conv) if needs_input_grad else None, dweight, dbias


def conv2d_weight_gradient(
    dy: Array,
    x: Array,
    weight: Array,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    out: Array | None = None,
) -> Array:
    """Return dW, a new array; only the shape of ``weight`` is used."""
    return weight_gradient(dy, x, weight, ConvSpec.of(weight, stride, padding, dilation, groups))


def conv2d_input_gradient(
    dy: Array,
    weight: Array,
    size: Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Array:
    """Return dx, the gradient with respect to the input of ``size`` (h, w)."""
    return input_gradient(dy, weight, pair(size, "size", 1), ConvSpec.of(weight, stride, padding, dilation, groups))


def convolve(x: Array, weight: Array, bias: Array | None, conv: ConvSpec) -> Array:
    """Return the convolution, (n, oh, ow, c_out)."""
    output = conv.output_size(*x.shape[1:3])
    if conv.groups > 1:
        if depthwise.fits(weight, conv):
            return depthwise.convolve(x, weight, bias, conv, output)
        return grouped.convolve(x, weight, bias, conv, output)
    algorithm = choose(x, weight, conv, x.shape[1:3])
    if algorithm is Algorithm.WINOGRAD:
        return winograd.convolve(x, weight, bias, conv.padding, output)
    if algorithm is Algorithm.IMPLICIT:
        return implicit.convolve(x, weight, bias, conv, output)
    if algorithm is Algorithm.SHIFTED:
        return shifted.convolve(x, weight, bias, conv, output)
    y = pooled_empty(x, (len(x), *output, weight.shape[3]))
    matrix = _flat(weight)
    for images in split_columns(x, conv, output):
        product(_rows(x[images], conv, output, algorithm), matrix, y[images].reshape(-1, y.shape[3]))
    if bias is not None:
        y += bias
    return y


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> Array:
    """Return dW (kh, kw, c_in / groups, c_out)."""
    output = dy.shape[1:3]
    if conv.groups > 1:
        if depthwise.fits(weight, conv):
            return depthwise.weight_gradient(dy, x, weight, conv)
        return grouped.weight_gradient(dy, x, weight, conv)
    algorithm = choose(x, weight, conv, x.shape[1:3])
    if algorithm is Algorithm.WINOGRAD:
        return winograd.weight_gradient(dy, x, conv.padding)
    if algorithm is Algorithm.IMPLICIT:  # it does not support sums over pixels
        algorithm = choose_products(conv, x.shape[3], thresholds(x))
    if algorithm is Algorithm.SHIFTED:
        return shifted.weight_gradient(dy, x, weight, conv)
    total = None
    for images in split_columns(x, conv, output):
        gradients = get_array_module(dy).ascontiguousarray(dy[images]).reshape(-1, dy.shape[3])
        term = product_over_rows(_rows(x[images], conv, output, algorithm), gradients)
        total = term if total is None else total + term
    assert total is not None
    return total.reshape(weight.shape)


def input_gradient(dy: Array, weight: Array, size: Pair, conv: ConvSpec) -> Array:
    """Return dx (n, h, w, c_in) for ``size`` (h, w)."""
    output = dy.shape[1:3]
    if conv.groups > 1:
        if depthwise.fits(weight, conv):
            return depthwise.input_gradient(dy, weight, size, conv)
        return grouped.input_gradient(dy, weight, size, conv)
    algorithm = choose(dy, weight, conv, size)
    back = conv.adjoint()
    if algorithm is not Algorithm.PRODUCT and conv.stride == (1, 1) and min(back.padding) >= 0:
        flipped = weight[::-1, ::-1].swapaxes(2, 3)
        algorithm = choose(dy, flipped, back, output)
        if algorithm is Algorithm.WINOGRAD:
            return winograd.convolve(dy, weight, None, back.padding, size, flipped=True)
        if algorithm is Algorithm.IMPLICIT:
            return implicit.convolve(dy, flipped, None, back, size)
        if algorithm is Algorithm.SHIFTED:
            return shifted.convolve(dy, flipped, None, back, size)
    dx = pooled_empty(dy, (len(dy), *size, weight.shape[2]))
    matrix = _flat(weight)
    for images in split_columns(dx, conv, output):
        gradients = get_array_module(dy).ascontiguousarray(dy[images]).reshape(-1, dy.shape[3])
        if algorithm is Algorithm.PRODUCT:
            product(gradients, matrix, dx[images].reshape(len(gradients), -1), transpose_b=True)
            continue
        columns = pooled_empty(dy, (len(gradients), len(matrix)))
        product(gradients, matrix, columns, transpose_b=True)
        col2im(columns, conv, output, dx[images])
    return dx


def _flat(weight: Array) -> Array:
    """Return the weight as a matrix (kh·kw·c, c_out)."""
    flat: Array = get_array_module(weight).ascontiguousarray(weight).reshape(-1, weight.shape[3])
    return flat


def _rows(x: Array, conv: ConvSpec, output: Pair, algorithm: Algorithm) -> Array:
    """Return the receptive field of each output pixel, one row each."""
    if algorithm is Algorithm.COLUMNS:
        return im2col(x, conv, output)
    rows: Array = get_array_module(x).ascontiguousarray(x).reshape(len(x) * output[0] * output[1], -1)
    return rows
