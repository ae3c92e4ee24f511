"""Transposed convolution: the backward pass of a convolution, used as a forward pass.

With maps written as vectors, a convolution is a matrix product ``y = W x``. Its backward pass multiplies by ``Wᵀ`` and
so maps the small feature map back to the large one. A transposed convolution ("deconvolution", Zeiler et al. 2010) uses
that product as a layer: every input pixel adds a copy of the kernel, scaled by its value, to the output. The copies are
``s`` pixels apart and are summed where they overlap.

In one dimension, with kernel (x, y, z), stride 2 and input (a, b):

    a·x   a·y   a·z + b·x   b·y   b·z

Because ``(Wᵀ)ᵀ = W``, the gradient with respect to the input is the ordinary convolution. The weight has the shape of
the convolution that is transposed, so ``⟨conv2d(x, w), y⟩ = ⟨x, conv_transpose2d(y, w)⟩`` holds for the same ``w``.
"""

from typing import Any

from scratchnet.arrays import Array
from scratchnet.engine.cpu import winograd
from scratchnet.engine.cpu.conv_algorithm import winograd_tile
from scratchnet.engine.dispatch import Argument, operation
from scratchnet.ops.channel_sums import channel_sums
from scratchnet.ops.convolution import add_bias, as_convolution, conv2d, conv2d_input_gradient, conv2d_weight_gradient
from scratchnet.ops.geometry import ConvSpec, Pair, integer, pair, transposed_size


def _check_channels(name: str, weight: Array, groups: int, what: str, channels: tuple[int, ...]) -> None:
    """Raise a ValueError if ``channels``, the end of a shape, differs from the weight's c_out."""
    if channels[-1] != weight.shape[2] * groups:
        raise ValueError(
            f"{name}: {what} {channels} must have the {weight.shape[2] * groups} channels that weight {weight.shape} "
            f"leads to" + (f" in {groups} groups" if groups > 1 else "")
        )


def _check(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    precise: bool = False,
) -> None:
    if bias is not None:
        _check_channels("conv_transpose2d", weight, integer(groups, "groups", 1), "bias", bias.shape)


def _check_backward(
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
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    _check_channels("conv_transpose2d_backward", weight, conv.groups, "dy", dy.shape)
    if conv.output_size(*dy.shape[1:3]) != x.shape[1:3]:
        raise ValueError(f"conv_transpose2d_backward: dy {dy.shape} does not fit x {x.shape} with these settings")


@operation(_check, x="n h w _c", weight="kh kw a b", bias="c")
def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    precise: bool = False,
) -> Array:
    """Apply a transposed convolution to ``x``, which yields a larger map.

    Parameters
    ----------
    x : (n, h, w, c_in)
    weight : (kh, kw, c_out / groups, c_in)
        The weight of the convolution that maps the output back to the input.
    bias : (c_out,) or None
    stride, padding, dilation : int or (vertical, horizontal)
        Settings of that convolution: ``padding`` crops the output.
    output_padding : int or (vertical, horizontal)
        Rows and columns added at the bottom and right, fewer than the stride. A strided convolution maps several sizes
        to the same one; this setting selects which of them to restore.
    groups : int
    precise : bool
        As for :func:`~scratchnet.ops.convolution.conv2d`.

    Returns
    -------
    (n, oh, ow, c_out) with ``oh = (h − 1)s − 2p + d(kh−1) + 1 + output_padding``

    Raises
    ------
    ValueError
        If the channels do not match the weight or the output padding is not smaller than the stride.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.array([1.0, 10.0]), np.array([1.0, 2.0, 3.0])
    >>> conv_transpose2d(x.reshape(1, 1, 2, 1), w.reshape(1, 3, 1, 1), stride=(1, 2)).ravel()
    array([ 1.,  2., 13., 20., 30.])
    """
    if x.ndim != 4 or weight.ndim != 4 or x.shape[3] != weight.shape[3]:
        raise ValueError(
            f"conv_transpose2d: x {x.shape} must have as many channels (last axis) as weight {weight.shape}"
        )
    s, d, extra = pair(stride, "stride", 1), pair(dilation, "dilation", 1), pair(output_padding, "output_padding", 0)
    if any(e >= a for e, a in zip(extra, s, strict=True)):
        raise ValueError(f"conv_transpose2d: output_padding {extra} must be smaller than the stride {s}")
    p = pair(padding, "padding", 0)
    h, w = (transposed_size(x.shape[1 + i], weight.shape[i], s[i], p[i], d[i], extra[i]) for i in (0, 1))
    back = as_convolution(x, ConvSpec.of(weight, s, p, d, groups), (h, w))
    tile = None if back is None else winograd_tile(x, weight, back, (h, w), precise)
    if back is not None and tile is not None:
        return winograd.conv3x3(x, weight, bias, back.padding, tile, flipped=True)
    y = conv2d_input_gradient(x, weight, (h, w), s, p, d, groups, precise)
    if bias is not None:
        add_bias(y, bias)
    return y


@operation(
    _check_backward,
    dy="n o q c",
    x="n h w b",
    weight="kh kw a b",
    out=Argument("kh kw a b", role="target"),
)
def conv_transpose2d_backward(
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
    """Return the gradients of a transposed convolution with respect to its input, weight and bias.

    Parameters
    ----------
    dy : (n, oh, ow, c_out)
    x, weight, stride, padding, dilation, groups, precise
        As given to :func:`conv_transpose2d`; the output padding follows from the shape of ``dy``.
    needs_input_grad : bool
        Whether to compute ``dx``; if False, None is returned for it.
    needs_bias_grad : bool
        Likewise for ``dbias``.
    out : (kh, kw, c_out / groups, c_in) or None
        Array that ``dweight`` may be written to, as for :func:`~scratchnet.ops.convolution.conv2d_backward`.

    Returns
    -------
    dx : (n, h, w, c_in) or None
        The convolution of ``dy``.
    dweight : (kh, kw, c_out / groups, c_in)
        The weight gradient of that convolution, with ``dy`` as its input and ``x`` as its output gradient.
    dbias : (c_out,) or None
    """
    dbias = channel_sums(dy) if needs_bias_grad else None
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    tile = winograd_tile(dy, weight, conv, x.shape[1:3], precise) if needs_input_grad else None
    if tile is not None:  # both gradients from the same transformed patches of dy
        both = winograd.conv3x3_backward(dy, x, weight, conv.padding, tile, flipped=False, out=out)
        return *both, dbias
    dx = conv2d(dy, weight, None, stride, padding, dilation, groups, precise) if needs_input_grad else None
    dweight = conv2d_weight_gradient(x, dy, weight, stride, padding, dilation, groups, precise, out)
    return dx, dweight, dbias
