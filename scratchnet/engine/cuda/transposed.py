"""Transposed convolution on a GPU, by the gradients of the convolution that it transposes."""

from scratchnet.arrays import Array
from scratchnet.engine.cuda.channel_sums import channel_sums
from scratchnet.engine.cuda.convolution import convolve, input_gradient, weight_gradient
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import ConvSpec, Pair, transposed_sizes


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
    """Apply a transposed convolution to ``x``."""
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    size = transposed_sizes(x.shape[1:3], conv.kernel, conv.stride, conv.padding, conv.dilation, output_padding)
    y = input_gradient(x, weight, size, conv)
    if bias is not None:
        y += bias
    return y if after is None else after.of(y)


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
    """Return dx, dweight and dbias; ``out`` is not used."""
    dbias = channel_sums(dy) if needs_bias_grad else None
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    dx = convolve(dy, weight, None, conv) if needs_input_grad else None
    return dx, weight_gradient(x, dy, weight, conv), dbias
