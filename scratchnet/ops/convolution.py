"""Convolution: forward and both gradients.

A convolution (strictly a cross-correlation, as everywhere in deep learning) slides a kernel over a feature map:

    y[n, o, q, b] = bias[b] + Σ_{i, j, a} x[n, o·s + i·d − p, q·s + j·d − p, a] · w[i, j, a, b]

It is a product of two matrices (Chellapilla, Puri and Simard 2006): *columns*, with one row per output pixel that holds
the ``kh·kw·c_in`` inputs in its receptive field, and the weight, with one column per filter.

    Y = columns(x) · W              forward (im2col)
    dW = columns(x)ᵀ · dY           gradient with respect to the weight
    columns(dx) = dY · Wᵀ           gradient with respect to the input: dx sums the elements of one pixel (col2im)

``groups`` splits the channels into independent convolutions, with one product each; a dilation ``d`` spreads the
kernel's taps (Yu and Koltun 2016).

>>> import numpy as np
>>> conv2d(np.ones((1, 1, 4, 1)), np.ones((1, 3, 1, 1)), padding=(0, 1)).ravel()
array([2., 3., 3., 2.])
"""

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import Argument, operation
from scratchnet.ops.channel_sums import channel_sums
from scratchnet.ops.convolution_checks import check_backward, check_forward, check_input_gradient
from scratchnet.ops.epilogue import Epilogue, epilogue
from scratchnet.ops.geometry import ConvSpec, Pair, pair


@operation(check_forward, x="n h w c", weight="kh kw a b", bias="b", after=epilogue("b"))
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
    """Convolve ``x`` with ``weight``.

    Parameters
    ----------
    x : (n, h, w, c_in)
    weight : (kh, kw, c_in / groups, c_out)
    bias : (c_out,) or None
    stride, padding, dilation : int or (vertical, horizontal)
    groups : int
        Into which ``c_in`` and ``c_out`` are split; group g of the output sees group g of the input.
    after : Epilogue (scale, shift and ReLU of the output) or None

    Returns
    -------
    (n, oh, ow, c_out) with ``oh = ⌊(h + 2p − d(kh−1) − 1) / s⌋ + 1``

    Raises
    ------
    ValueError
        If the channels do not match the weight, or the kernel is larger than the padded input.
    """
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    products = im2col(x, conv) @ by_group(weight, groups)
    y = products.swapaxes(0, 1).reshape(len(x), *conv.output_size(*x.shape[1:3]), weight.shape[3])
    y = y if bias is None else y + bias
    return y if after is None else after.of(y)


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
    out: Array | None = None,
) -> tuple[Array | None, Array, Array | None]:
    """Return dx, dweight and dbias, the gradients of a convolution, from ``dy`` (n, oh, ow, c_out).

    ``dx`` and ``dbias`` are None unless they are needed. ``out`` is memory in which ``dweight`` may be returned.
    """
    settings = stride, padding, dilation, groups
    dx = conv2d_input_gradient(dy, weight, x.shape[1:3], *settings) if needs_input_grad else None
    dbias = channel_sums(dy) if needs_bias_grad else None
    return dx, conv2d_weight_gradient(dy, x, weight, *settings, out), dbias


@operation(check_backward, dy="n o q b", x="n h w c", weight="kh kw a b", out=Argument("kh kw a b", role="target"))
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
    """Return dW[i, j, a, b] = Σ x[n, o·s + i·d − p, …, a] · dy[n, o, …, b]; of ``weight`` only the shape is used."""
    columns = im2col(x, ConvSpec.of(weight, stride, padding, dilation, groups))
    products = columns.swapaxes(1, 2) @ by_group(dy, groups)  # (groups, kh·kw·c_in / groups, c_out / groups)
    return products.swapaxes(0, 1).reshape(weight.shape)


@operation(check_input_gradient, dy="n o q b", weight="kh kw a b")
def conv2d_input_gradient(
    dy: Array,
    weight: Array,
    size: Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Array:
    """Return dx, the gradient with respect to the input of ``size`` (h, w): the adjoint of the convolution."""
    columns = by_group(dy, groups) @ by_group(weight, groups).swapaxes(1, 2)
    shape = len(dy), *pair(size, "size", 1), weight.shape[2] * groups
    return col2im(columns, shape, ConvSpec.of(weight, stride, padding, dilation, groups))


def by_group(a: Array, groups: int) -> Array:
    """Return an array (…, c) as one matrix per group of channels: (groups, rows, c / groups)."""
    return a.reshape(-1, groups, a.shape[-1] // groups).swapaxes(0, 1)


def im2col(x: Array, conv: ConvSpec) -> Array:
    """Return the receptive field of every output pixel, one row each: (groups, n·oh·ow, kh·kw·c / groups)."""
    (kh, kw), (ph, pw), (sh, sw), (dh, dw) = conv.kernel, conv.padding, conv.stride, conv.dilation
    xp, n, c, (oh, ow) = get_array_module(x), len(x), x.shape[3] // conv.groups, conv.output_size(*x.shape[1:3])
    padded = xp.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
    image, row, column, channel = padded.strides  # a view whose element (n, o, q, i, j, a) is x[n, o·s + i·d, …, a]
    strides = c * channel, image, sh * row, sw * column, dh * row, dw * column, channel
    windows: Array = xp.lib.stride_tricks.as_strided(padded, (conv.groups, n, oh, ow, kh, kw, c), strides)
    return windows.reshape(conv.groups, n * oh * ow, kh * kw * c)


def col2im(columns: Array, shape: tuple[int, int, int, int], conv: ConvSpec) -> Array:
    """Sum the elements of ``columns`` that belong to the same element of a map of ``shape``: the adjoint of im2col."""
    (kh, kw), (ph, pw), (sh, sw), (dh, dw) = conv.kernel, conv.padding, conv.stride, conv.dilation
    (n, h, w, c), (oh, ow) = shape, conv.output_size(*shape[1:3])
    taps = columns.reshape(conv.groups, n, oh, ow, kh, kw, c // conv.groups).transpose(4, 5, 1, 2, 3, 0, 6)
    padded: Array = get_array_module(columns).zeros((n, h + 2 * ph, w + 2 * pw, c), columns.dtype)
    for i in range(kh):
        for j in range(kw):
            target = padded[:, i * dh : i * dh + oh * sh : sh, j * dw : j * dw + ow * sw : sw]
            target += taps[i, j].reshape(target.shape)
    return padded[:, ph : ph + h, pw : pw + w]
