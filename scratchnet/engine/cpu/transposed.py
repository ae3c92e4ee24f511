"""Transposed convolution on a CPU, by the gradients of the convolution that it transposes.

An ordinary 3×3 convolution gives both gradients at once in Winograd's form: :func:`.winograd.backward` uses
the transformed patches of dy twice. The forward pass in that form adds the bias while it transforms the products back.
"""

from scratchnet.arrays import Array
from scratchnet.engine.cpu import folded, winograd
from scratchnet.engine.cpu.channel_sums import channel_sums
from scratchnet.engine.cpu.conv_algorithm import Algorithm, choose, winograd_tile
from scratchnet.engine.cpu.convolution import add_bias, as_convolution, convolve, input_gradient, weight_gradient
from scratchnet.engine.cpu.epilogue import apply_epilogue
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
    back = as_convolution(conv)
    tile = None if back is None else winograd_tile(x, weight, back)
    if back is not None and tile is not None:
        return winograd.convolve(x, weight, bias, back.padding, tile, flipped=True, after=after)
    size = transposed_sizes(x.shape[1:3], conv.kernel, conv.stride, conv.padding, conv.dilation, output_padding)
    if choose(x, weight, conv, size) is Algorithm.FOLDED:
        return folded.input_gradient(x, weight, size, conv, bias, after)
    y = input_gradient(x, weight, size, conv)
    if bias is not None:
        add_bias(y, bias)
    return apply_epilogue(y, after)


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
    """Return dx, dweight and dbias; algorithms for large kernels write ``dweight`` to ``out``, others ignore it."""
    dbias = channel_sums(dy) if needs_bias_grad else None
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    tile = winograd_tile(dy, weight, conv) if needs_input_grad else None
    if tile is not None:  # both gradients from the same transformed patches of dy
        both = winograd.backward(dy, x, weight, conv.padding, tile, flipped=False, out=out)
        return *both, dbias
    if needs_input_grad and choose(dy, weight, conv, dy.shape[1:3]) is Algorithm.FOLDED:
        return *folded.transposed_backward(dy, x, weight, conv), dbias
    dx = convolve(dy, weight, None, conv) if needs_input_grad else None
    return dx, weight_gradient(x, dy, weight, conv, out), dbias
