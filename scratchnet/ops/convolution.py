"""Convolution: forward and both gradients.

A convolution (strictly a cross-correlation, as everywhere in deep learning) slides a kernel over a feature map:

    y[n, o, q, b] = bias[b] + Σ_{i, j, a} x[n, o·s + i·d − p, q·s + j·d − p, a] · w[i, j, a, b]

Both gradients are convolutions again. The gradient with respect to the input sends every dy back to the pixels in the
receptive field of its output. The gradient with respect to the weight sums, for each kernel element, the products of
dy and the inputs that the element was multiplied by.

There are several ways to compute these sums; read ``direct`` first: it copies patches into the rows of a matrix
(im2col) and does one matrix product. ``winograd`` needs a quarter of the multiplications for 3×3 kernels; ``dilated``
and ``large`` extend it to dilated and larger kernels. ``depthwise`` uses no matrix product. ``subpixel`` computes the
gradient with respect to the input at strides above 1, and ``few`` handles layers with one or two outputs. A kernel
that is 1×1 or covers the whole map is a plain matrix product. ``algorithm`` chooses by shape and dtype. ``groups``
splits the channels into independent convolutions; a dilation ``d`` spreads the kernel's taps (Yu and Koltun 2016).
"""

from typing import Any

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.cpu import depthwise, dilated, few_filters, im2col, subpixel, winograd, winograd_decomposed
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.cpu.conv_algorithm import Algorithm, choose, has_few_pixels, winograd_tile
from scratchnet.engine.cpu.matmul import product, product_over_rows
from scratchnet.engine.dispatch import Argument, operation, written
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.memory_layout import row_of
from scratchnet.engine.modes import is_textbook
from scratchnet.ops.channel_sums import channel_sums
from scratchnet.ops.geometry import ConvSpec, Pair, pair


def check_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    *_: Any,
    **__: Any,
) -> None:
    """Raise a ValueError if the shapes of x, weight and dy do not belong to one convolution."""
    check_channels("conv2d_backward", x, weight, groups)
    _check_gradient("conv2d_backward", dy, ConvSpec.of(weight, stride, padding, dilation, groups), x.shape[1:3])


def _check_input_gradient(
    dy: Array,
    weight: Array,
    size: Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    *_: Any,
    **__: Any,
) -> None:
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    _check_gradient("conv2d_input_gradient", dy, conv, pair(size, "size", 1))


def _check_gradient(name: str, dy: Array, conv: ConvSpec, size: Pair) -> None:
    output = conv.output_size(*size)
    if dy.shape[1:3] != output:
        raise ValueError(
            f"{name}: dy {dy.shape} does not fit an input of {size[0]}×{size[1]} pixels, whose output has "
            f"{output[0]}×{output[1]}"
        )


@operation(x="n h w c", weight="kh kw a b", bias="b")
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
    """Convolve ``x`` with ``weight``.

    Parameters
    ----------
    x : (n, h, w, c_in)
    weight : (kh, kw, c_in / groups, c_out)
    bias : (c_out,) or None
    stride, padding, dilation : int or (vertical, horizontal)
    groups : int
        Number of groups that ``c_in`` and ``c_out`` are split into; group g of the output sees group g of the input.
    precise : bool
        Compute the sum directly, without the Winograd transform, whose float32 rounding error is about 1e-5 of the
        largest output.

    Returns
    -------
    (n, oh, ow, c_out) with ``oh = ⌊(h + 2p − d(kh−1) − 1) / s⌋ + 1``

    Raises
    ------
    ValueError
        If the channels do not match the weight, or the kernel is larger than the padded input.

    Examples
    --------
    >>> import numpy as np
    >>> conv2d(np.ones((1, 4, 4, 1)), np.ones((3, 3, 1, 1)), padding=1)[0, :, :, 0]
    array([[4., 6., 6., 4.],
           [6., 9., 9., 6.],
           [6., 9., 9., 6.],
           [4., 6., 6., 4.]])
    """
    check_channels("conv2d", x, weight, groups)
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    size = x.shape[1:3]
    output = conv.output_size(*size)
    form = choose(x, weight, conv, size, output, precise)
    if form in (Algorithm.WINOGRAD2, Algorithm.WINOGRAD4):
        return _winograd(x, weight, bias, conv, output, form.tile)
    if form is Algorithm.PRODUCT:
        y = pooled_empty(x, (len(x), *output, weight.shape[3]))
        k = weight[..., 0].size
        product(x.reshape(-1, k), weight.reshape(k, -1), out=y.reshape(-1, y.shape[3]))
    elif form in (Algorithm.DEPTHWISE, Algorithm.FEW):
        y = (depthwise if form is Algorithm.DEPTHWISE else few_filters).convolve(x, weight, conv, output)
    else:
        return im2col.convolve(x, weight, conv, output, bias)
    if bias is not None:
        add_bias(y, bias)
    return y


@operation(check_backward, dy="n o q b", x="n h w c", weight="kh kw a b", out=Argument("kh kw a b", role="target"))
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
    precise: bool = False,
    out: Array | None = None,
) -> tuple[Array | None, Array, Array | None]:
    """Return the gradients of a convolution with respect to its input, weight and bias.

    Parameters
    ----------
    dy : (n, oh, ow, c_out)
        Gradient of the loss with respect to the convolution's output.
    x, weight, stride, padding, dilation, groups, precise
        As given to :func:`conv2d`.
    needs_input_grad : bool
        Whether to compute ``dx``; if False, None is returned for it. The first layer of a network does not need it,
        which saves a third of the work.
    needs_bias_grad : bool
        Likewise for ``dbias``.
    out : (kh, kw, c_in / groups, c_out) or None
        Array that ``dweight`` may be written to; ``out`` itself is then returned. Only large kernels use it, others
        return a new array.

    Returns
    -------
    dx : (n, h, w, c_in) or None
    dweight : (kh, kw, c_in / groups, c_out)
    dbias : (c_out,) or None
    """
    size = x.shape[1:3]
    dbias = channel_sums(dy) if needs_bias_grad else None
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    back = as_convolution(dy, conv, size)
    tile = winograd_tile(dy, weight, back, size, precise) if needs_input_grad and back is not None else None
    if back is not None and tile is not None:  # both gradients from the same transformed patches of dy
        dx, dweight = winograd.conv3x3_backward(dy, x, weight, back.padding, tile, flipped=True, out=out)
        return dx, dweight, dbias
    dweight = conv2d_weight_gradient(dy, x, weight, stride, padding, dilation, groups, precise, out)
    if not needs_input_grad:
        return None, dweight, dbias
    dx = conv2d_input_gradient(dy, weight, size, stride, padding, dilation, groups, precise)
    return dx, dweight, dbias


@operation(check_backward, dy="n o q b", x="n h w c", weight="kh kw a b", out=Argument("kh kw a b", role="target"))
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
    """Return dW[i, j, a, b] = Σ x[n, o·s + i·d − p, …, a] · dy[n, o, …, b]; of ``weight`` only the shape is used.

    The result may be written to ``out``, as in :func:`conv2d_backward`.
    """
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    form = choose(x, weight, conv, x.shape[1:3], dy.shape[1:3], precise)
    if form in (Algorithm.WINOGRAD2, Algorithm.WINOGRAD4):
        return _winograd_weight_gradient(dy, x, weight, conv, form.tile, out)
    if form is Algorithm.DEPTHWISE:
        return depthwise.weight_gradient(dy, x, weight, conv)
    if form is Algorithm.FEW:
        return few_filters.weight_gradient(dy, x, weight, conv)
    if form is not Algorithm.PRODUCT:
        return im2col.weight_gradient(dy, x, weight, conv)
    rows, slopes = x.reshape(-1, weight[..., 0].size), dy.reshape(-1, dy.shape[3])
    if len(rows) > rows.shape[1]:
        return product_over_rows(rows, slopes).reshape(weight.shape)
    dweight = pooled_empty(x, weight.shape) if out is None else out
    product(rows.T, slopes, out=dweight.reshape(rows.shape[1], -1))
    return dweight


@operation(_check_input_gradient, dy="n o q b", weight="kh kw a b")
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
    """Return dx, the gradient with respect to the input of ``size`` (h, w): the adjoint of the convolution.

    At stride 1 it is itself a convolution of ``dy``, padded by d(k−1) − p, with the kernel rotated by 180° and its two
    channel axes exchanged. At larger strides it is several interleaved convolutions (see ``subpixel``). With groups or
    a dilation, the products ``dY · Wᵀ`` are added to each output's receptive field (col2im, see ``direct``).
    """
    size = pair(size, "size", 1)
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    form = choose(dy, weight, conv, size, dy.shape[1:3], precise)
    if form is Algorithm.PRODUCT:
        k = weight[..., 0].size
        dx = pooled_empty(dy, (len(dy), *size, weight.shape[2]))
        product(dy.reshape(-1, dy.shape[3]), weight.reshape(k, -1).T, out=dx.reshape(-1, k))
        return dx
    if form is Algorithm.DEPTHWISE:
        return depthwise.input_gradient(dy, weight, size, conv)
    back = as_convolution(dy, conv, size)
    if back is not None:
        return _convolve_back(dy, weight, conv, back, size, precise)
    if groups == 1 and conv.dilation == (1, 1) and not is_textbook():
        return subpixel.input_gradient(dy, weight, size, conv)
    return im2col.input_gradient(dy, weight, size, conv)


def as_convolution(dy: Array, conv: ConvSpec, size: Pair) -> ConvSpec | None:
    """Return the convolution of ``dy`` that gives the gradient of an input of ``size``, or None if there is none."""
    grown = tuple(d * (k - 1) - p for k, p, d in zip(conv.kernel, conv.padding, conv.dilation, strict=True))
    if conv.stride != (1, 1) or min(grown) < 0 or dy.shape[1:3] != conv.output_size(*size) or is_textbook():
        return None
    return ConvSpec(conv.kernel, (1, 1), (grown[0], grown[1]), conv.dilation, conv.groups)


def _convolve_back(dy: Array, weight: Array, conv: ConvSpec, back: ConvSpec, size: Pair, precise: bool) -> Array:
    """Return dx as the convolution ``back`` of ``dy`` with the rotated kernel."""
    form = choose(dy, weight, back, dy.shape[1:3], size, precise)
    if form in (Algorithm.WINOGRAD2, Algorithm.WINOGRAD4) and conv.kernel == (3, 3):
        return _winograd(dy, weight, None, back, size, form.tile, flipped=True)
    if form is Algorithm.DIRECT and has_few_pixels(dy, conv.groups):
        return im2col.input_gradient_by_channel(dy, weight, size, conv)
    return conv2d(dy, _turn(weight, conv.groups), None, 1, back.padding, back.dilation, conv.groups, precise)


def _winograd(
    x: Array, weight: Array, bias: Array | None, conv: ConvSpec, size: Pair, tile: int, flipped: bool = False
) -> Array:
    """Convolve with Winograd's transform: on every d-th pixel for a dilation d, in pieces if the kernel is not 3×3."""
    if conv.dilation != (1, 1):
        return dilated.convolve(x, weight, bias, conv, size, tile, flipped)
    if conv.kernel != (3, 3):
        return winograd_decomposed.convolve(x, weight, bias, conv, size, tile)
    return winograd.conv3x3(x, weight, bias, conv.padding, tile, flipped)


def _winograd_weight_gradient(
    dy: Array, x: Array, weight: Array, conv: ConvSpec, tile: int, out: Array | None
) -> Array:
    if conv.dilation != (1, 1):
        return dilated.weight_gradient(dy, x, conv, tile)
    if conv.kernel != (3, 3):
        return winograd_decomposed.weight_gradient(dy, x, weight, conv, tile)
    return winograd.conv3x3_weight_gradient(dy, x, conv.padding, tile, out)


def _turn(weight: Array, groups: int) -> Array:
    """Rotate the kernel by 180° and exchange its channel axes: (kh, kw, c_out / groups, c_in)."""
    kh, kw, cg, c_out = weight.shape
    flipped = weight[::-1, ::-1].reshape(kh, kw, cg, groups, c_out // groups)
    flat: Array = flipped.transpose(0, 1, 4, 3, 2).reshape(kh, kw, c_out // groups, groups * cg)
    return flat


@operation(y=written("n h w c"), bias="c")
def add_bias(y: Array, bias: Array) -> None:
    """Add the bias to every pixel of ``y``, in place."""
    row = row_of(bias, y.shape[2])
    parallel_rows(lambda part: get_array_module(part).add(part, row, out=part), y)


def check_channels(name: str, x: Array, weight: Array, groups: int) -> None:
    """Raise a ValueError that shows both shapes if the channels of ``x`` do not match ``weight``."""
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(f"{name}: expected x (n, h, w, c) and weight with 4 axes, got {x.shape} and {weight.shape}")
    if x.shape[3] != weight.shape[2] * groups:
        raise ValueError(
            f"{name}: x has {x.shape[3]} channels in its last axis {x.shape} but weight expects "
            f"{weight.shape[2] * groups} {weight.shape}" + (f" with {groups} groups" if groups > 1 else "")
        )
