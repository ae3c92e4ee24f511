"""Convolution on a GPU: forward and both gradients, with the fastest algorithm for the layer (:mod:`.conv_algorithm`).

All algorithms but one are based on matrix products; depthwise convolution, with one group per channel, is a loop over
the window (``depthwise.cu``). The gradient with respect to the input at stride 1 is a convolution with the flipped
kernel, and its algorithm is chosen like that of any convolution. Other grouped convolutions use the array code.
"""

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.cuda import depthwise, implicit, shifted, winograd
from scratchnet.engine.cuda.columns import col2im, im2col
from scratchnet.engine.cuda.compiled import split_batch
from scratchnet.engine.cuda.conv_algorithm import Algorithm, choose, choose_products, thresholds
from scratchnet.engine.cuda.gemm import product, product_over_rows
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.convolution import check_channels
from scratchnet.ops.geometry import ConvSpec, Pair

WORKSPACE_BYTES = 1 << 30
"""Maximum bytes of columns in memory at a time; larger batches are processed in parts."""


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    precise: bool = False,
) -> Array:
    """Return the convolution of ``x`` with ``weight``."""
    check_channels("conv2d", x, weight, groups)
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    output = conv.output_size(*x.shape[1:3])
    if groups > 1:
        return depthwise.convolve(x, weight, bias, conv, output) if depthwise.fits(weight, conv) else NotImplemented
    algorithm = choose(x, weight, conv, x.shape[1:3], output, precise)
    if algorithm is Algorithm.WINOGRAD:
        return winograd.convolve(x, weight, bias, conv.padding, output)
    if algorithm is Algorithm.IMPLICIT:
        return implicit.convolve(x, weight, bias, conv, output)
    if algorithm is Algorithm.SHIFTED:
        return shifted.convolve(x, weight, bias, conv, output)
    y = pooled_empty(x, (len(x), *output, weight.shape[3]))
    matrix = _flat(weight)
    for images in _split_batch(x, conv, output):
        product(_rows(x[images], conv, output, algorithm), matrix, y[images].reshape(-1, y.shape[3]))
    if bias is not None:
        y += bias
    return y


def conv2d_weight_gradient(
    dy: Array,
    x: Array,
    weight: Array,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    precise: bool = False,
    out: Array | None = None,
) -> Array:
    """Return dW, a new array; only the shape of ``weight`` is used."""
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    output = dy.shape[1:3]
    if groups > 1:
        return depthwise.weight_gradient(dy, x, weight, conv) if depthwise.fits(weight, conv) else NotImplemented
    algorithm = choose(x, weight, conv, x.shape[1:3], output, precise)
    if algorithm is Algorithm.WINOGRAD:
        return winograd.weight_gradient(dy, x, conv.padding)
    if algorithm is Algorithm.IMPLICIT:  # it does not support sums over pixels
        algorithm = choose_products(conv, x.shape[3], thresholds(x))
    if algorithm is Algorithm.SHIFTED:
        return shifted.weight_gradient(dy, x, weight, conv)
    total = None
    for images in _split_batch(x, conv, output):
        gradients = get_array_module(dy).ascontiguousarray(dy[images]).reshape(-1, dy.shape[3])
        term = product_over_rows(_rows(x[images], conv, output, algorithm), gradients)
        total = term if total is None else total + term
    assert total is not None
    return total.reshape(weight.shape)


def conv2d_input_gradient(
    dy: Array,
    weight: Array,
    size: Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    precise: bool = False,
) -> Array:
    """Return dx, the gradient with respect to the input of ``size`` (h, w)."""
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    size, output = (size[0], size[1]), dy.shape[1:3]
    if groups > 1:
        return depthwise.input_gradient(dy, weight, size, conv) if depthwise.fits(weight, conv) else NotImplemented
    algorithm = choose(dy, weight, conv, size, output, precise)
    full_padding = tuple(d * (k - 1) - p for k, p, d in zip(conv.kernel, conv.padding, conv.dilation, strict=True))
    if (
        algorithm is not Algorithm.PRODUCT
        and conv.stride == (1, 1)
        and min(full_padding) >= 0
        and output == conv.output_size(*size)
    ):
        flipped_conv = ConvSpec(conv.kernel, (1, 1), (full_padding[0], full_padding[1]), conv.dilation, 1)
        flipped = weight[::-1, ::-1].swapaxes(2, 3)
        algorithm = choose(dy, flipped, flipped_conv, output, size, precise)
        if algorithm is Algorithm.WINOGRAD:
            return winograd.convolve(dy, weight, None, flipped_conv.padding, size, flipped=True)
        if algorithm is Algorithm.IMPLICIT:
            return implicit.convolve(dy, flipped, None, flipped_conv, size)
        if algorithm is Algorithm.SHIFTED:
            return shifted.convolve(dy, flipped, None, flipped_conv, size)
    dx = pooled_empty(dy, (len(dy), *size, weight.shape[2]))
    matrix = _flat(weight)
    for images in _split_batch(dx, conv, output):
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
    """Return the window of each output pixel as a row."""
    if algorithm is Algorithm.COLUMNS:
        return im2col(x, conv, output)
    rows: Array = get_array_module(x).ascontiguousarray(x).reshape(len(x) * output[0] * output[1], -1)
    return rows


def _split_batch(x: Array, conv: ConvSpec, output: Pair) -> list[slice]:
    """Split a batch so that its columns fit into the workspace."""
    row_bytes = conv.kernel[0] * conv.kernel[1] * x.shape[3] * x.itemsize
    return split_batch(len(x), output[0] * output[1] * row_bytes, WORKSPACE_BYTES)
