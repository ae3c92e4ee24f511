"""Depthwise convolution on a GPU (see ``depthwise.cu``)."""

from scratchnet.arrays import Array
from scratchnet.engine.cuda.channel_sums import Chunks, finish
from scratchnet.engine.cuda.compiled import contiguous, launch, row_launch
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.geometry import ConvSpec, Pair


def fits(weight: Array, conv: ConvSpec) -> bool:
    """Return whether every channel has its own kernel."""
    return weight.shape[2:] == (1, conv.groups)


def convolve(x: Array, weight: Array, bias: Array | None, conv: ConvSpec, output: Pair) -> Array:
    """Return the convolution, ``(n, *output, c)``."""
    x, weight = contiguous(x, weight)
    y = pooled_empty(x, (len(x), *output, x.shape[3]))
    rows = len(x) * output[0]
    sizes = _sizes(rows, x.shape, output, conv)
    launch("depthwise", "depthwise", x.dtype, *row_launch(rows, output[1] * x.shape[3]), x, weight, y, *sizes)
    if bias is not None:
        y += bias
    return y


def input_gradient(dy: Array, weight: Array, size: Pair, conv: ConvSpec) -> Array:
    """Return dx ``(n, *size, c)``."""
    dy, weight = contiguous(dy, weight)
    dx = pooled_empty(dy, (len(dy), *size, dy.shape[3]))
    rows = len(dy) * size[0]
    sizes = _sizes(rows, dx.shape, dy.shape[1:3], conv)
    shape = row_launch(rows, size[1] * dy.shape[3])
    launch("depthwise", "depthwise_input_gradient", dy.dtype, *shape, dy, weight, dx, *sizes)
    return dx


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> Array:
    """Return dW with the shape of ``weight``; its values are not used."""
    dy, x = contiguous(dy, x)
    taps, chunks = conv.kernel[0] * conv.kernel[1], Chunks.of(dy)
    parts = chunks.parts(dy, taps)
    sizes = chunks.pixels, chunks.size, *_sizes(0, x.shape, dy.shape[1:3], conv)
    launch(
        "depthwise", "depthwise_weight_gradient", dy.dtype, (*chunks.first, taps), chunks.block, dy, x, parts, *sizes
    )
    return finish(parts, dy).reshape(weight.shape)


def _sizes(rows: int, shape: tuple[int, ...], output: Pair, conv: ConvSpec) -> tuple[int, ...]:
    """Return the kernels' SIZES arguments for an input of ``shape``."""
    return (rows, *shape[1:], *output, *conv.kernel, *conv.stride, *conv.padding, *conv.dilation)
