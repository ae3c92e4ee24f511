"""Transposed convolution: the backward pass of a convolution, used as a forward pass.

With maps written as vectors, a convolution is a matrix product ``y = W x``. Its backward pass multiplies by ``Wᵀ`` and
so maps the small feature map back to the large one. A transposed convolution ("deconvolution", Zeiler et al. 2010) uses
that product as a layer: every input pixel adds a copy of the kernel, scaled by its value, to the output. The copies are
``s`` pixels apart and are summed where they overlap.

In one dimension, with kernel (x, y, z), stride 2 and input (a, b):

    a·x   a·y   a·z + b·x   b·y   b·z

Because ``(Wᵀ)ᵀ = W``, the gradient with respect to the input is the ordinary convolution. The weight has the shape of
the convolution that is transposed, so ``⟨conv2d(x, w), y⟩ = ⟨x, conv_transpose2d(y, w)⟩`` holds for the same ``w``.

>>> import numpy as np
>>> x, w = np.array([1.0, 10.0]), np.array([1.0, 2.0, 3.0])
>>> conv_transpose2d(x.reshape(1, 1, 2, 1), w.reshape(1, 3, 1, 1), stride=(1, 2)).ravel()
array([ 1.,  2., 13., 20., 30.])
"""

from scratchnet.arrays import Array
from scratchnet.engine.dispatch import Argument, operation
from scratchnet.ops.channel_sums import channel_sums
from scratchnet.ops.convolution import conv2d, conv2d_input_gradient, conv2d_weight_gradient
from scratchnet.ops.convolution_checks import check_transpose, check_transpose_backward
from scratchnet.ops.epilogue import Epilogue, epilogue
from scratchnet.ops.geometry import Pair, transposed_sizes


@operation(check_transpose, x="n h w _c", weight="kh kw a b", bias="c", after=epilogue("c"))
def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    after: Epilogue | None = None,
) -> Array:
    """Apply a transposed convolution to ``x``, which yields a larger map.

    Parameters
    ----------
    x : (n, h, w, c_in)
    weight : (kh, kw, c_out / groups, c_in)
        The weight of the convolution that maps the output back to the input.
    bias : (c_out,) or None
    stride, padding, dilation, groups
        Settings of that convolution: ``padding`` crops the output.
    output_padding : int or (vertical, horizontal)
        Rows and columns added at the bottom and right, fewer than the stride, to restore the convolution's input size.
    after : Epilogue (scale, shift and ReLU of the output) or None

    Returns
    -------
    (n, oh, ow, c_out) with ``oh = (h − 1)s − 2p + d(kh−1) + 1 + output_padding``

    Raises
    ------
    ValueError
        If the channels do not match the weight, or the output padding is not smaller than the stride.
    """
    size = transposed_sizes(x.shape[1:3], weight.shape[:2], stride, padding, dilation, output_padding)
    y = conv2d_input_gradient(x, weight, size, stride, padding, dilation, groups)
    y = y if bias is None else y + bias
    return y if after is None else after.of(y)


@operation(
    check_transpose_backward,
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
    out: Array | None = None,
) -> tuple[Array | None, Array, Array | None]:
    """Return dx, dweight and dbias, the gradients of a transposed convolution, from ``dy`` (n, oh, ow, c_out).

    ``dx`` is the convolution of ``dy``. ``dweight`` is the weight gradient of that convolution, whose input is ``dy``
    and whose output gradient is ``x``. The output padding follows from the shape of ``dy``.

    ``dx`` and ``dbias`` are None unless they are needed. ``out`` is memory in which ``dweight`` may be returned.
    """
    settings = stride, padding, dilation, groups
    dx = conv2d(dy, weight, None, *settings) if needs_input_grad else None
    dbias = channel_sums(dy) if needs_bias_grad else None
    return dx, conv2d_weight_gradient(x, dy, weight, *settings, out), dbias
