"""Checks that the shapes given to a convolution or a transposed convolution belong together."""

from typing import Any

from scratchnet.arrays import Array
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import ConvSpec, Pair, integer, pair, transposed_sizes


def check_forward(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    after: Epilogue | None = None,
) -> None:
    """Raise a ValueError if the channels of ``x`` do not match ``weight``, or the kernel does not fit."""
    _check_channels("conv2d", x, weight, groups)
    ConvSpec.of(weight, stride, padding, dilation, groups).output_size(*x.shape[1:3])


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
    _check_channels("conv2d_backward", x, weight, groups)
    _check_gradient("conv2d_backward", dy, ConvSpec.of(weight, stride, padding, dilation, groups), x.shape[1:3])


def check_input_gradient(
    dy: Array,
    weight: Array,
    size: Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> None:
    """Raise a ValueError if ``dy`` does not belong to an input of ``size``."""
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    _check_gradient("conv2d_input_gradient", dy, conv, pair(size, "size", 1))


def _check_channels(name: str, x: Array, weight: Array, groups: int) -> None:
    if x.shape[3] != weight.shape[2] * groups:
        raise ValueError(
            f"{name}: x has {x.shape[3]} channels in its last axis {x.shape} but weight expects "
            f"{weight.shape[2] * groups} {weight.shape}" + (f" with {groups} groups" if groups > 1 else "")
        )


def _check_gradient(name: str, dy: Array, conv: ConvSpec, size: Pair) -> None:
    output = conv.output_size(*size)
    if dy.shape[1:3] != output:
        raise ValueError(
            f"{name}: dy {dy.shape} does not fit an input of {size[0]}×{size[1]} pixels, whose output has "
            f"{output[0]}×{output[1]}"
        )


def check_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    after: Epilogue | None = None,
) -> None:
    """Raise a ValueError if x, weight, bias, epilogue and settings do not belong to one transposed convolution."""
    if bias is not None:
        _check_output_channels("conv_transpose2d", weight, integer(groups, "groups", 1), "bias", bias.shape)
    if after is not None and after.scale is not None:
        shape = after.scale.shape
        _check_output_channels("conv_transpose2d", weight, integer(groups, "groups", 1), "after.scale", shape)
    if x.shape[3] != weight.shape[3]:
        raise ValueError(
            f"conv_transpose2d: x {x.shape} must have as many channels (last axis) as weight {weight.shape}"
        )
    s, extra = pair(stride, "stride", 1), pair(output_padding, "output_padding", 0)
    if any(e >= a for e, a in zip(extra, s, strict=True)):
        raise ValueError(f"conv_transpose2d: output_padding {extra} must be smaller than the stride {s}")
    transposed_sizes(x.shape[1:3], weight.shape[:2], stride, padding, dilation, output_padding)
    ConvSpec.of(weight, stride, padding, dilation, groups)


def check_transpose_backward(
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
    """Raise a ValueError if the shapes of x, weight and dy do not belong to one transposed convolution."""
    conv = ConvSpec.of(weight, stride, padding, dilation, groups)
    _check_output_channels("conv_transpose2d_backward", weight, conv.groups, "dy", dy.shape)
    if conv.output_size(*dy.shape[1:3]) != x.shape[1:3]:
        raise ValueError(f"conv_transpose2d_backward: dy {dy.shape} does not fit x {x.shape} with these settings")


def _check_output_channels(name: str, weight: Array, groups: int, what: str, shape: tuple[int, ...]) -> None:
    """Raise a ValueError if the channels of a shape, its last axis, differ from the weight's."""
    if shape[-1] != weight.shape[2] * groups:
        raise ValueError(
            f"{name}: {what} {shape} must have the {weight.shape[2] * groups} channels that weight {weight.shape} "
            f"leads to" + (f" in {groups} groups" if groups > 1 else "")
        )
