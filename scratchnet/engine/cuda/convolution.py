"""Convolution on a GPU: forward and both gradients, in the form that suits the layer (:mod:`.conv_algorithm`).

All forms but one are matrix products of one kind or another; depthwise convolution, a group a channel, is a loop over
the window (``depthwise.cu``). The gradient by the input at stride 1 is a convolution again, with the turned kernel, and
takes that one's form. Other convolutions in groups are left to the array code.
"""

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.cuda import depthwise, implicit, shifted, winograd
from scratchnet.engine.cuda.columns import col2im, im2col
from scratchnet.engine.cuda.compiled import in_turns
from scratchnet.engine.cuda.conv_algorithm import Algorithm, choose, choose_products, thresholds
from scratchnet.engine.cuda.gemm import product, product_over_rows
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.convolution import check_channels
from scratchnet.ops.geometry import ConvSpec, Pair

WORKSPACE = 1 << 30
"""Bytes of columns that are held at one time; more images than fit are done in turns."""


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
    """Convolve ``x`` with ``weight``."""
    check_channels("conv2d", x, weight, groups)
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    output = conv.output_size(*x.shape[1:3])
    if groups > 1:
        return depthwise.convolve(x, weight, bias, conv, output) if depthwise.fits(weight, conv) else NotImplemented
    form = choose(x, weight, conv, x.shape[1:3], output, precise)
    if form is Algorithm.WINOGRAD:
        return winograd.convolve(x, weight, bias, conv.padding, output)
    if form is Algorithm.IMPLICIT:
        return implicit.convolve(x, weight, bias, conv, output)
    if form is Algorithm.SHIFTED:
        return shifted.convolve(x, weight, bias, conv, output)
    y = pooled_empty(x, (len(x), *output, weight.shape[3]))
    matrix = _flat(weight)
    for images in _turns(x, conv, output):
        product(_rows(x[images], conv, output, form), matrix, y[images].reshape(-1, y.shape[3]))
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
    """Return dW, a new array; of ``weight`` only the shape is used."""
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    output = dy.shape[1:3]
    if groups > 1:
        return depthwise.weight_gradient(dy, x, weight, conv) if depthwise.fits(weight, conv) else NotImplemented
    form = choose(x, weight, conv, x.shape[1:3], output, precise)
    if form is Algorithm.WINOGRAD:
        return winograd.weight_gradient(dy, x, conv.padding)
    if form is Algorithm.IMPLICIT:  # a sum over pixels, which that form is not made for
        form = choose_products(conv, x.shape[3], thresholds(x))
    if form is Algorithm.SHIFTED:
        return shifted.weight_gradient(dy, x, weight, conv)
    total = None
    for images in _turns(x, conv, output):
        slopes = get_array_module(dy).ascontiguousarray(dy[images]).reshape(-1, dy.shape[3])
        term = product_over_rows(_rows(x[images], conv, output, form), slopes)
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
    """Return dx, the gradient by the input of ``size`` (h, w)."""
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    size, output = (size[0], size[1]), dy.shape[1:3]
    if groups > 1:
        return depthwise.input_gradient(dy, weight, size, conv) if depthwise.fits(weight, conv) else NotImplemented
    form = choose(dy, weight, conv, size, output, precise)
    grown = tuple(d * (k - 1) - p for k, p, d in zip(conv.kernel, conv.padding, conv.dilation, strict=True))
    if (
        form is not Algorithm.PRODUCT
        and conv.stride == (1, 1)
        and min(grown) >= 0
        and output == conv.output_size(*size)
    ):
        back = ConvSpec(conv.kernel, (1, 1), (grown[0], grown[1]), conv.dilation, 1)
        flipped = weight[::-1, ::-1].swapaxes(2, 3)
        form = choose(dy, flipped, back, output, size, precise)
        if form is Algorithm.WINOGRAD:
            return winograd.convolve(dy, weight, None, back.padding, size, flipped=True)
        if form is Algorithm.IMPLICIT:
            return implicit.convolve(dy, flipped, None, back, size)
        if form is Algorithm.SHIFTED:
            return shifted.convolve(dy, flipped, None, back, size)
    dx = pooled_empty(dy, (len(dy), *size, weight.shape[2]))
    matrix = _flat(weight)
    for images in _turns(dx, conv, output):
        slopes = get_array_module(dy).ascontiguousarray(dy[images]).reshape(-1, dy.shape[3])
        if form is Algorithm.PRODUCT:
            product(slopes, matrix, dx[images].reshape(len(slopes), -1), turn_b=True)
            continue
        columns = pooled_empty(dy, (len(slopes), len(matrix)))
        product(slopes, matrix, columns, turn_b=True)
        col2im(columns, conv, output, dx[images])
    return dx


def _flat(weight: Array) -> Array:
    """Return the weight as a matrix (kh·kw·c, c_out)."""
    flat: Array = get_array_module(weight).ascontiguousarray(weight).reshape(-1, weight.shape[3])
    return flat


def _rows(x: Array, conv: ConvSpec, output: Pair, form: Algorithm) -> Array:
    """Return what each output pixel sees, a row each."""
    if form is Algorithm.COLUMNS:
        return im2col(x, conv, output)
    rows: Array = get_array_module(x).ascontiguousarray(x).reshape(len(x) * output[0] * output[1], -1)
    return rows


def _turns(x: Array, conv: ConvSpec, output: Pair) -> list[slice]:
    """Cut a batch so that its columns fit into the workspace."""
    row = conv.kernel[0] * conv.kernel[1] * x.shape[3] * x.itemsize
    return in_turns(len(x), output[0] * output[1] * row, WORKSPACE)
