"""Convolution and transposed convolution as layers."""

from scratchnet.arrays import Array
from scratchnet.initialization import Initializer, constant, msra, msra_transposed
from scratchnet.layers.base import Layer, Parameter, Shape
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.geometry import Pair, pair, transposed_size, windows
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward


class Conv2d(Layer):
    """Convolution with a learned kernel and bias.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation : int or (vertical, horizontal)
    groups : int
    bias : bool
        Leave it out in front of batch norm, which subtracts any constant again.
    start : Initializer
        Of the weight (kh, kw, in_channels / groups, out_channels); the bias starts at 0.
    """

    recordable = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        start: Initializer = msra,
    ) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"Conv2d: {groups} groups do not divide {in_channels} → {out_channels} channels")
        self.channels, self.groups = (in_channels, out_channels), groups
        self.kernel, self.stride = pair(kernel_size, "kernel_size", 1), pair(stride, "stride", 1)
        self.padding, self.dilation = pair(padding, "padding", 0), pair(dilation, "dilation", 1)
        self.parameters["weight"] = Parameter((*self.kernel, in_channels // groups, out_channels), "weight", start)
        if bias:
            self.parameters["bias"] = Parameter((out_channels,), "bias", constant(0))

    def forward(self, x: Array) -> Array:
        """(n, h, w, in_channels) → (n, oh, ow, out_channels)."""
        self.keep(x)
        bias = self.parameters["bias"].value if "bias" in self.parameters else None
        weight = self.parameters["weight"].value
        return conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def backward(self, dy: Array) -> Array | None:
        """Add dweight and dbias, return dx."""
        (x,) = self.take()
        weight = self.parameters["weight"]
        dx, dweight, dbias = conv2d_backward(
            dy, x, weight.value, self.stride, self.padding, self.dilation, self.groups, self.need_dx
        )
        weight.accumulate(dweight)
        if "bias" in self.parameters:
            self.parameters["bias"].accumulate(dbias)
        return dx

    def output_shape(self, x: Shape) -> Shape:
        """Return (n, oh, ow, out_channels)."""
        n, h, w, c = x
        if c != self.channels[0]:
            raise ValueError(f"{self.describe()}: the input has {c} channels, expected {self.channels[0]}")
        size = [
            windows(v, self.kernel[i], self.stride[i], self.padding[i], self.dilation[i]) for i, v in enumerate((h, w))
        ]
        return n, size[0], size[1], self.channels[1]

    def products(self, x: Shape) -> int:  # type: ignore[override]
        """Every output number is a sum of kh·kw·c_in/groups products."""
        n, oh, ow, _ = self.output_shape(x)
        return n * oh * ow * self.parameters["weight"].size

    def describe(self) -> str:
        """Kernel size, filters, and whatever differs from the usual."""
        return _describe("conv", self.kernel, self.channels[1], self.stride, self.dilation, self.groups)


class ConvTranspose2d(Layer):
    """Transposed convolution ("deconvolution") with a learned kernel and bias.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, output_padding : int or (vertical, horizontal)
    groups : int
    bias : bool
    dilation : int or (vertical, horizontal)
    start : Initializer
        Of the weight (kh, kw, out_channels / groups, in_channels); the bias starts at 0.
    """

    recordable = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Pair = 1,
        start: Initializer = msra_transposed,
    ) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"ConvTranspose2d: {groups} groups do not divide {in_channels} → {out_channels} channels")
        self.channels, self.groups = (in_channels, out_channels), groups
        self.kernel, self.stride = pair(kernel_size, "kernel_size", 1), pair(stride, "stride", 1)
        self.padding, self.dilation = pair(padding, "padding", 0), pair(dilation, "dilation", 1)
        self.output_padding = pair(output_padding, "output_padding", 0)
        self.parameters["weight"] = Parameter((*self.kernel, out_channels // groups, in_channels), "weight", start)
        if bias:
            self.parameters["bias"] = Parameter((out_channels,), "bias", constant(0))

    def forward(self, x: Array) -> Array:
        """(n, h, w, in_channels) → (n, oh, ow, out_channels)."""
        self.keep(x)
        bias = self.parameters["bias"].value if "bias" in self.parameters else None
        weight = self.parameters["weight"].value
        return conv_transpose2d(
            x, weight, bias, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )

    def backward(self, dy: Array) -> Array | None:
        """Add dweight and dbias, return dx."""
        (x,) = self.take()
        weight = self.parameters["weight"]
        dx, dweight, dbias = conv_transpose2d_backward(
            dy, x, weight.value, self.stride, self.padding, self.dilation, self.groups, self.need_dx
        )
        weight.accumulate(dweight)
        if "bias" in self.parameters:
            self.parameters["bias"].accumulate(dbias)
        return dx

    def output_shape(self, x: Shape) -> Shape:
        """Return (n, oh, ow, out_channels)."""
        n, h, w, c = x
        if c != self.channels[0]:
            raise ValueError(f"{self.describe()}: the input has {c} channels, expected {self.channels[0]}")
        size = [
            transposed_size(
                v, self.kernel[i], self.stride[i], self.padding[i], self.dilation[i], self.output_padding[i]
            )
            for i, v in enumerate((h, w))
        ]
        return n, size[0], size[1], self.channels[1]

    def products(self, x: Shape) -> int:  # type: ignore[override]
        """Every input number is multiplied with kh·kw·c_out/groups weights."""
        n, h, w, _ = x
        return n * h * w * self.parameters["weight"].size

    def describe(self) -> str:
        """Kernel size, filters, and whatever differs from the usual."""
        return _describe("deconv", self.kernel, self.channels[1], self.stride, self.dilation, self.groups)


def _describe(word: str, kernel: Pair, filters: int, stride: Pair, dilation: Pair, groups: int) -> str:
    text = f"{word} {kernel[0]}×{kernel[1]}, {filters}"
    if stride != (1, 1):
        text += f", stride {stride[0]}" if stride[0] == stride[1] else f", stride {stride[0]}×{stride[1]}"
    if dilation != (1, 1):
        text += f", dilation {dilation[0]}" if dilation[0] == dilation[1] else f", dilation {dilation[0]}×{dilation[1]}"
    return text + (f", groups {groups}" if groups > 1 else "")
