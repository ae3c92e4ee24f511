"""Convolution and transposed convolution as layers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scratchnet.arrays import Array
from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.description import InputInfo
from scratchnet.layers.initialization import Initializer, constant, he_normal, he_normal_transposed
from scratchnet.layers.parameter import Parameter
from scratchnet.layers.step_plan import ALONE, StepPlan
from scratchnet.layers.upsampled_convolution import UpsampledConvolution, adjoint_padding
from scratchnet.layers.window import Window
from scratchnet.ops.channel_sums import channel_sums
from scratchnet.ops.convolution import conv2d, conv2d_backward, conv2d_input_gradient
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import Pair, transposed_size, windows
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from scratchnet.utils.validation import flag, function, integer, pair


class _Convolution(Layer):
    """Common base class of both convolutions: parameters, settings and the backward pass.

    ``weight_channels`` are the weight's input and output channels; in the transposed layer they are those of the
    convolution that is transposed.
    """

    def __init__(
        self,
        channels: Pair,
        weight_channels: Pair,
        kernel_size: int | Pair,
        stride: int | Pair,
        padding: int | Pair,
        dilation: int | Pair,
        groups: int,
        bias: bool,
        initializer: Initializer,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        c_in, c_out = integer(channels[0], f"{name}: in_channels", 1), integer(channels[1], f"{name}: out_channels", 1)
        self.channels, self.groups = (c_in, c_out), integer(groups, f"{name}: groups", 1)
        if c_in % self.groups or c_out % self.groups:
            raise ValueError(f"{name}: {self.groups} groups do not divide {c_in} → {c_out} channels")
        self.kernel, self.stride = pair(kernel_size, f"{name}: kernel_size", 1), pair(stride, f"{name}: stride", 1)
        self.padding, self.dilation = pair(padding, f"{name}: padding", 0), pair(dilation, f"{name}: dilation", 1)
        shape = (*self.kernel, int(weight_channels[0]) // self.groups, int(weight_channels[1]))
        self.parameters["weight"] = Parameter(shape, "weight", function(initializer, f"{name}: initializer"))
        if flag(bias, f"{name}: bias"):
            self.parameters["bias"] = Parameter((channels[1],), "bias", constant(0))

    def _save_input(self, x: Array, plan: StepPlan) -> None:
        bias_learns = "bias" in self.parameters and not plan.skip_bias_gradient
        self.save_for_backward(x if plan.input_from is None else None, bias_learns, plan.upsamples)

    @staticmethod
    def _epilogue(plan: StepPlan, norm: Epilogue | None) -> Epilogue | None:
        """Return what follows the convolution according to its plan: a batch norm and ReLU."""
        return replace(norm or Epilogue(), relu=True) if plan.fuse_relu else norm

    def restore_input(self, x: Array) -> None:
        """Save the input of the last forward pass, which was recomputed for :meth:`backward`; see ``StepPlan``."""
        _, bias_learns, upsamples = self.take_saved()
        self.save_for_backward(x, bias_learns, upsamples)

    def _weights(self) -> tuple[Array, Array | None]:
        """Return the weight, and the bias or None."""
        return self.parameters["weight"].value, self.parameters["bias"].value if "bias" in self.parameters else None

    def backward(self, dy: Array) -> Array | None:
        """Add dweight and dbias, return dx."""
        x, bias_learns, upsamples = self.take_saved()
        weight, bias = self.parameters["weight"], self.parameters.get("bias")
        bias_learns = bias_learns and bias is not None and not bias.frozen
        both = self._with_upsampling(weight.value) if upsamples else None
        if weight.frozen:
            dx = None
            if self.needs_input_grad:
                dx = both.input_gradient(dy) if both else self._input_gradient(dy, weight.value, x.shape[1:3])
            dbias = channel_sums(dy) if bias_learns else None
        elif both:
            dx, dweight, dbias = both.backward(dy, x, self.needs_input_grad, bias_learns)
            weight.add_grad(dweight)
        else:
            buffer = weight.grad_buffer()
            dx, dweight, dbias = self._gradients(dy, x, weight.value, bias_learns, buffer)
            weight.add_grad(dweight, buffer)
        if bias is not None and dbias is not None:
            bias.add_grad(dbias)
        return dx

    def _with_upsampling(self, weight: Array) -> UpsampledConvolution:
        return UpsampledConvolution(weight, self.padding, transposed=self.kind == "deconv")

    def _gradients(
        self, dy: Array, x: Array, weight: Array, needs_bias_grad: bool, out: Array | None
    ) -> tuple[Array | None, Array, Array | None]:
        """Return dx, dweight (written to ``out`` if it is given) and dbias."""
        raise NotImplementedError

    def _input_gradient(self, dy: Array, weight: Array, size: Pair) -> Array:
        """Return dx for an input of ``size``."""
        raise NotImplementedError

    @property
    def _settings(self) -> tuple[Pair, Pair, Pair, int]:
        return self.stride, self.padding, self.dilation, self.groups

    def _check(self, x: Shape) -> None:
        if x[3] != self.channels[0]:
            raise ValueError(f"{self.describe()}: the input has {x[3]} channels, expected {self.channels[0]}")

    @property
    def mixes_channels(self) -> bool:  # type: ignore[override]
        """Whether it is not depthwise."""
        return self.channels != (self.groups, self.groups)

    @property
    def can_upsample(self) -> bool:
        """Whether it can also repeat the pixels of its input 2×2 times: a 3×3 kernel at stride 1 without groups."""
        simple = (self.stride, self.dilation, self.groups, self.kernel) == ((1, 1), (1, 1), 1, (3, 3))
        return simple and (self.kind == "deconv" or min(adjoint_padding(self.kernel, self.padding)) >= 0)

    def windows(self, *inputs: InputInfo) -> list[Window]:
        """Return the kernel's window."""
        return [Window(self.kernel, self.stride, self.padding, self.dilation, self.kind == "deconv")]

    def weights_between(self, outputs: Sequence[int], inputs: Sequence[int]) -> Array:
        """Return the weights (outputs, inputs, kh, kw); 0 between separate groups."""
        weight = self.parameters["weight"].value  # (kh, kw, inputs of a group, outputs); transposed: outputs, inputs
        transposed = self.kind == "deconv"
        small, large = (outputs, inputs) if transposed else (inputs, outputs)
        i, j = np.array(small)[:, None], np.array(large)[None, :]
        per_small, per_large = weight.shape[2], weight.shape[3] // self.groups
        found: Array = np.where(i // per_small == j // per_large, weight[:, :, i % per_small, j], 0)
        return found.transpose(2, 3, 0, 1) if transposed else found.transpose(3, 2, 0, 1)

    def _described(self, word: str) -> str:
        """Return the word, the kernel size, the number of filters and all non-default settings."""
        text = f"{word} {self.kernel[0]}×{self.kernel[1]}, {self.channels[1]}"
        for name, (v, h) in (("stride", self.stride), ("dilation", self.dilation)):
            if (v, h) != (1, 1):
                text += f", {name} {v}" if v == h else f", {name} {v}×{h}"
        return text + (f", groups {self.groups}" if self.groups > 1 else "")


class Conv2d(_Convolution):
    """Convolution with a learned kernel and bias.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation : int or (vertical, horizontal)
    groups : int
    bias : bool
        Use False before batch norm, which subtracts any constant again.
    initializer : Initializer
        Initializer of the weight (kh, kw, in_channels / groups, out_channels); the bias starts at 0.
    """

    capturable = True
    kind = "conv"
    example = (4, 6, 3)

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
        initializer: Initializer = he_normal,
    ) -> None:
        channels = in_channels, out_channels
        super().__init__(channels, channels, kernel_size, stride, padding, dilation, groups, bias, initializer)

    def forward(self, x: Array, plan: StepPlan = ALONE, norm: Epilogue | None = None) -> Array:
        """(n, h, w, in_channels) → (n, oh, ow, out_channels).

        ``norm`` is the batch norm in ``plan.normalized_by``.
        """
        self._save_input(x, plan)
        (weight, bias), after = self._weights(), self._epilogue(plan, norm)
        if plan.upsamples:
            return self._with_upsampling(weight).forward(x, bias, after)
        return conv2d(x, weight, bias, *self._settings, after=after)

    def _gradients(
        self, dy: Array, x: Array, weight: Array, needs_bias_grad: bool, out: Array | None
    ) -> tuple[Array | None, Array, Array | None]:
        needed = self.needs_input_grad, needs_bias_grad
        return conv2d_backward(dy, x, weight, *self._settings, *needed, out=out)

    def _input_gradient(self, dy: Array, weight: Array, size: Pair) -> Array:
        return conv2d_input_gradient(dy, weight, size, *self._settings)

    def output_shape(self, x: Shape) -> Shape:
        """Return (n, oh, ow, out_channels)."""
        self._check(x)
        n, h, w, _ = x
        size = [
            windows(v, self.kernel[i], self.stride[i], self.padding[i], self.dilation[i]) for i, v in enumerate((h, w))
        ]
        return n, size[0], size[1], self.channels[1]

    def multiply_adds(self, x: Shape) -> int:  # type: ignore[override]
        """Return the multiply-adds: kh·kw·c_in/groups per output element."""
        n, oh, ow, _ = self.output_shape(x)
        return n * oh * ow * self.parameters["weight"].size

    def describe(self) -> str:
        """Return the kernel size, filters and non-default settings."""
        return self._described("conv")


class ConvTranspose2d(_Convolution):
    """Transposed convolution ("deconvolution") with a learned kernel and bias.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, output_padding : int or (vertical, horizontal)
    groups : int
    bias : bool
    dilation : int or (vertical, horizontal)
    initializer : Initializer
        Initializer of the weight (kh, kw, out_channels / groups, in_channels); the bias starts at 0.
    """

    capturable = True
    kind = "deconv"
    example = (4, 6, 3)

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
        initializer: Initializer = he_normal_transposed,
    ) -> None:
        channels, reversed_ = (in_channels, out_channels), (out_channels, in_channels)
        super().__init__(channels, reversed_, kernel_size, stride, padding, dilation, groups, bias, initializer)
        self.output_padding = pair(output_padding, "ConvTranspose2d: output_padding", 0)

    def forward(self, x: Array, plan: StepPlan = ALONE, norm: Epilogue | None = None) -> Array:
        """(n, h, w, in_channels) → (n, oh, ow, out_channels).

        ``norm`` is the batch norm in ``plan.normalized_by``.
        """
        self._save_input(x, plan)
        (weight, bias), after = self._weights(), self._epilogue(plan, norm)
        if plan.upsamples:
            return self._with_upsampling(weight).forward(x, bias, after)
        settings = self.stride, self.padding, self.output_padding, self.dilation, self.groups
        return conv_transpose2d(x, weight, bias, *settings, after=after)

    def _gradients(
        self, dy: Array, x: Array, weight: Array, needs_bias_grad: bool, out: Array | None
    ) -> tuple[Array | None, Array, Array | None]:
        return conv_transpose2d_backward(
            dy, x, weight, *self._settings, self.needs_input_grad, needs_bias_grad, out=out
        )

    def _input_gradient(self, dy: Array, weight: Array, size: Pair) -> Array:
        return conv2d(dy, weight, None, *self._settings)

    def output_shape(self, x: Shape) -> Shape:
        """Return (n, oh, ow, out_channels)."""
        self._check(x)
        n, h, w, _ = x
        size = [
            transposed_size(
                v, self.kernel[i], self.stride[i], self.padding[i], self.dilation[i], self.output_padding[i]
            )
            for i, v in enumerate((h, w))
        ]
        return n, size[0], size[1], self.channels[1]

    def multiply_adds(self, x: Shape) -> int:  # type: ignore[override]
        """Return the multiply-adds: kh·kw·c_out/groups per input element."""
        n, h, w, _ = x
        return n * h * w * self.parameters["weight"].size

    def describe(self) -> str:
        """Return the kernel size, filters and non-default settings."""
        return self._described("deconv")
