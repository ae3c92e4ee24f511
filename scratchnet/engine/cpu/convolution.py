"""Convolution on a CPU: run the algorithm that is fastest for the shape.

:func:`.conv_algorithm.choose` selects the algorithm, a module of its own each. Read ``im2col`` first: it is the plain
form's matrix product, one cache-sized block at a time. ``winograd`` needs a quarter of the multiplications for 3×3
kernels at stride 1, and for larger ones still fewer; ``dilated`` reduces dilated kernels to that case, and ``folded``
kernels of 4×4 and more at stride 2. ``depthwise`` uses no matrix product, ``few_filters`` multiplies before it shifts,
and ``subpixel`` computes the input gradient at larger strides. A kernel that does not slide, because it is 1×1 or
covers the whole map, is one matrix product without im2col.

The functions of the names in ``ops`` take the settings one by one; the others here take a :class:`ConvSpec`.
"""

from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu import depthwise, dilated, few_filters, folded, im2col, subpixel, winograd
from scratchnet.engine.cpu.channel_sums import channel_sums
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.cpu.conv_algorithm import Algorithm, choose, has_few_pixels, winograd_tile
from scratchnet.engine.cpu.epilogue import apply_epilogue
from scratchnet.engine.cpu.matmul import product, product_over_rows
from scratchnet.engine.cpu.shape import contiguous_kernel
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.memory_layout import row_of
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import ConvSpec, Pair, pair

_FORMS: dict[Algorithm, Any] = {
    Algorithm.IM2COL: im2col,
    Algorithm.FOLDED: folded,
    Algorithm.DEPTHWISE: depthwise,
    Algorithm.FEW_FILTERS: few_filters,
}

_ONE_PRODUCT = (Algorithm.PRODUCT, Algorithm.WHOLE_IM2COL)


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
    """Convolve ``x`` with ``weight``."""
    return convolve(x, weight, bias, ConvSpec.of(weight, stride, padding, dilation, groups), after)


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
    """Return dx, dweight and dbias; algorithms for large kernels write ``dweight`` to ``out``, others ignore it."""
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    dbias = channel_sums(dy) if needs_bias_grad else None
    back = as_convolution(conv)
    tile = winograd_tile(dy, weight, back) if needs_input_grad and back is not None else None
    if back is not None and tile is not None:  # both gradients from the same transformed patches of dy
        dx, dweight = winograd.backward(dy, x, weight, back.padding, tile, flipped=True, out=out)
        return dx, dweight, dbias
    if needs_input_grad and choose(x, weight, conv, x.shape[1:3]) is Algorithm.FOLDED:
        return *folded.backward(dy, x, weight, conv), dbias
    dweight = weight_gradient(dy, x, weight, conv, out)
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
    """Return dW; of ``weight`` only the shape is used."""
    return weight_gradient(dy, x, weight, ConvSpec.of(weight, stride, padding, dilation, groups), out)


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


def convolve(x: Array, weight: Array, bias: Array | None, conv: ConvSpec, after: Epilogue | None = None) -> Array:
    """Return the convolution and what comes ``after`` it, (n, oh, ow, c_out), by the algorithm chosen for its shape."""
    algorithm = choose(x, weight, conv, x.shape[1:3])
    output = conv.output_size(*x.shape[1:3])
    if algorithm.uses_winograd:
        return _winograd(x, weight, bias, conv, output, algorithm.tile, after=after)
    y: Array
    if algorithm in (Algorithm.IM2COL, Algorithm.FOLDED):
        y = _FORMS[algorithm].convolve(x, weight, conv, output, bias, after)
        return y
    if algorithm is Algorithm.DEPTHWISE:
        return apply_epilogue(depthwise.convolve(x, weight, conv, output, bias), after)
    if algorithm in _ONE_PRODUCT:
        y = pooled_empty(x, (len(x), *output, weight.shape[3]))
        rows = _rows(algorithm, x, weight, conv, output)
        product(rows, weight.reshape(rows.shape[1], -1), out=y.reshape(-1, y.shape[3]))
    else:
        y = few_filters.convolve(x, weight, conv, output)
    if bias is not None:
        add_bias(y, bias)
    return apply_epilogue(y, after)


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec, out: Array | None = None) -> Array:
    """Return dW (kh, kw, c_in / groups, c_out), in ``out`` if the algorithm can write there."""
    algorithm = choose(x, weight, conv, x.shape[1:3])
    if algorithm.uses_winograd:
        return _winograd_weight_gradient(dy, x, conv, algorithm.tile, out)
    dweight: Array
    if algorithm not in _ONE_PRODUCT:
        dweight = _FORMS[algorithm].weight_gradient(dy, x, weight, conv)
        return dweight
    rows, gradients = _rows(algorithm, x, weight, conv, dy.shape[1:3]), dy.reshape(-1, dy.shape[3])
    if len(rows) > rows.shape[1]:
        return product_over_rows(rows, gradients).reshape(weight.shape)
    dweight = pooled_empty(x, weight.shape) if out is None else out
    product(rows.T, gradients, out=dweight.reshape(rows.shape[1], -1))
    return dweight


def input_gradient(dy: Array, weight: Array, size: Pair, conv: ConvSpec) -> Array:
    """Return dx (n, h, w, c_in) for ``size`` (h, w), the adjoint of the convolution.

    At stride 1 it is itself a convolution of ``dy``, padded by d(k−1) − p, with the kernel rotated by 180° and its two
    channel axes exchanged. At larger strides it is several interleaved convolutions (see ``subpixel``), or one of a
    folded map (see ``folded``). With groups or a dilation, the products ``dY · Wᵀ`` are added to each output's
    receptive field (col2im, see ``im2col``).
    """
    algorithm = choose(dy, weight, conv, size)
    if algorithm is Algorithm.PRODUCT:
        k = weight[..., 0].size
        dx = pooled_empty(dy, (len(dy), *size, weight.shape[2]))
        product(dy.reshape(-1, dy.shape[3]), weight.reshape(k, -1).T, out=dx.reshape(-1, k))
        return dx
    if algorithm is Algorithm.DEPTHWISE:
        return depthwise.input_gradient(dy, weight, size, conv)
    back = as_convolution(conv)
    if back is not None:
        return _convolve_back(dy, weight, size, conv, back)
    if algorithm is Algorithm.FOLDED:
        return folded.input_gradient(dy, weight, size, conv)
    if conv.groups == 1 and conv.dilation == (1, 1):
        return subpixel.input_gradient(dy, weight, size, conv)
    return im2col.input_gradient(dy, weight, size, conv)


def _rows(algorithm: Algorithm, x: Array, weight: Array, conv: ConvSpec, output: Pair) -> Array:
    """Return a row for each output pixel, (n·oh·ow, kh·kw·c_in): the pixels of ``x`` itself if no kernel slides."""
    if algorithm is Algorithm.PRODUCT:
        return x.reshape(-1, weight[..., 0].size)
    return im2col.all_columns(x, conv, output)


def add_bias(y: Array, bias: Array) -> None:
    """Add the bias to every pixel of ``y``, in place."""
    row = row_of(bias, y.shape[2])
    parallel_rows(lambda part: np.add(part, row, out=part), y)


def as_convolution(conv: ConvSpec) -> ConvSpec | None:
    """Return the convolution of ``dy`` that gives the gradient with respect to the input, or None if there is none."""
    back = conv.adjoint()
    return back if conv.stride == (1, 1) and min(back.padding) >= 0 else None


def _convolve_back(dy: Array, weight: Array, size: Pair, conv: ConvSpec, back: ConvSpec) -> Array:
    """Return dx as the convolution ``back`` of ``dy`` with the rotated kernel."""
    algorithm = choose(dy, weight, back, dy.shape[1:3])
    if algorithm.uses_winograd:
        return _winograd(dy, weight, None, back, size, algorithm.tile, flipped=True)
    if algorithm in (Algorithm.IM2COL, Algorithm.WHOLE_IM2COL) and has_few_pixels(dy, conv.groups):
        return im2col.input_gradient_by_channel(dy, weight, size, conv)
    return convolve(dy, flip(weight, conv.groups), None, back)


def flip(weight: Array, groups: int) -> Array:
    """Rotate the kernel by 180° and exchange its channel axes: (kh, kw, c_out / groups, c_in)."""
    kh, kw, cg, c_out = weight.shape
    rotated = weight[::-1, ::-1].reshape(kh, kw, cg, groups, c_out // groups)
    flipped = rotated.transpose(0, 1, 4, 3, 2).reshape(kh, kw, c_out // groups, groups * cg)
    return flipped if flipped.flags.c_contiguous else contiguous_kernel(flipped)


def _winograd(
    x: Array,
    weight: Array,
    bias: Array | None,
    conv: ConvSpec,
    size: Pair,
    tile: int,
    flipped: bool = False,
    after: Epilogue | None = None,
) -> Array:
    """Convolve with Winograd's transform: on every d-th pixel for a dilation d."""
    if conv.dilation != (1, 1):
        return dilated.convolve(x, weight, bias, conv, size, tile, flipped, after)
    return winograd.convolve(x, weight, bias, conv.padding, tile, flipped, after)


def _winograd_weight_gradient(dy: Array, x: Array, conv: ConvSpec, tile: int, out: Array | None) -> Array:
    if conv.dilation != (1, 1):
        return dilated.weight_gradient(dy, x, conv, tile)
    return winograd.weight_gradient(dy, x, conv.padding, tile, out)
