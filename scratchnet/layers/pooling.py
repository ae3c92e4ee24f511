"""Max-pooling and switch unpooling as layers."""

from collections.abc import Sequence
from math import prod

import numpy as np

from scratchnet.arrays import Array, to_host
from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.description import ROUNDING, InputInfo
from scratchnet.layers.step_plan import ALONE, StepPlan
from scratchnet.layers.window import Window
from scratchnet.ops.geometry import Pair, windows
from scratchnet.ops.pooling import max_pool2d, max_pool2d_backward, max_unpool2d, max_unpool2d_backward, window_values
from scratchnet.ops.switches import Switches, check_padding
from scratchnet.utils.validation import flag, pair


class MaxPool2d(Layer):
    """Max-pooling. In a network, the step ``pool1`` also makes the value ``pool1.switches`` for an unpooling step.

    Parameters
    ----------
    kernel_size, padding : int or (vertical, horizontal)
    stride : int or (vertical, horizontal) or None
        Defaults to the kernel size.
    ceil_mode : bool
        Whether to keep a last, incomplete window.
    """

    capturable = True
    transient_attributes = frozenset({"switches"})
    kind = "pool"
    example = (2,)
    extra_outputs = ("switches",)

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel = pair(kernel_size, "MaxPool2d: kernel_size", 1)
        self.stride = pair(self.kernel if stride is None else stride, "MaxPool2d: stride", 1)
        self.padding = pair(padding, "MaxPool2d: padding", 0)
        self.ceil_mode = flag(ceil_mode, "MaxPool2d: ceil_mode")
        check_padding(self.kernel, self.padding)
        self.switches: Switches | None = None

    def forward(self, x: Array, plan: StepPlan = ALONE) -> Array:
        """(n, h, w, c) → (n, oh, ow, c)."""
        y, self.switches = max_pool2d(x, self.kernel, self.stride, self.padding, self.ceil_mode)
        self.save_for_backward(self.switches, y if plan.apply_relu_mask else None)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx: route each gradient to the pixel that was the maximum."""
        switches, y = self.take_saved()
        self.switches = None
        return max_pool2d_backward(dy, switches, y)

    def output_shape(self, x: Shape) -> Shape:
        """Return (n, oh, ow, c)."""
        n, h, w, c = x
        size = [
            windows(v, self.kernel[i], self.stride[i], self.padding[i], 1, self.ceil_mode) for i, v in enumerate((h, w))
        ]
        return n, size[0], size[1], c

    def release(self) -> None:
        """Discard the switches as well."""
        super().release()
        self.switches = None

    def windows(self, *inputs: InputInfo) -> list[Window]:
        """Return the pooling window."""
        return [Window(self.kernel, self.stride, self.padding)]

    def extra_bytes(self, x: Shape) -> int:  # type: ignore[override]
        """Return the memory of the switches, one byte per window."""
        return prod(self.output_shape(x))

    def decisions(self, inputs: Sequence[Array], output: Array) -> list[Array]:
        """Return which positions of each window hold its maximum, (n, oh, ow, kh·kw, c) booleans.

        Of several equal values any may be chosen: output and gradient are the same for the loss. So the set of all is
        compared, and values that differ by rounding count as equal.
        """
        x, y = to_host(inputs[0]), to_host(output)
        threshold = y - ROUNDING * float(np.abs(y).max(initial=0))
        values = window_values(x, y.shape[1:3], self.kernel, self.stride, self.padding, fill=-np.inf)
        return [values >= threshold[:, :, :, None]]

    def describe(self) -> str:
        """Return the window and the stride."""
        text = f"max-pool {self.kernel[0]}×{self.kernel[1]}"
        return text + (f", stride {self.stride[0]}" if self.stride != self.kernel else "")


class MaxUnpool2d(Layer):
    """Switch unpooling: takes a map and the switches of an earlier pooling, restores that pooling's input size."""

    capturable = True
    kind = "unpool"

    def forward(self, x: Array, switches: Switches, plan: StepPlan = ALONE) -> Array:
        """(n, oh, ow, c) → (n, h, w, c)."""
        self.save_for_backward(switches, x if plan.recompute_output else None)
        return max_unpool2d(x, switches)

    def recompute_output(self) -> Array:
        """Return the output of the last forward pass again; see ``StepPlan``."""
        switches, x = self.take_saved()
        self.save_for_backward(switches, None)
        return max_unpool2d(x, switches)

    def backward(self, dy: Array) -> tuple[Array, None]:
        """Return dx, read at the switches; switches themselves have no gradient."""
        switches, _ = self.take_saved()
        return max_unpool2d_backward(dy, switches), None

    def output_shape(self, x: Shape, restored: Shape) -> Shape:
        """Return (n, h, w, c), where ``restored`` is the shape that was pooled."""
        if x[3] != restored[3]:
            raise ValueError(f"max-unpool: the map has {x[3]} channels but its switches have {restored[3]}")
        return restored

    def windows(self, x: InputInfo, switches: InputInfo) -> list[Window]:  # type: ignore[override]
        """Return the pooling's window, mirrored: the switch that sends a pixel here was chosen from that window."""
        assert switches.window is not None  # of the pooling
        return [switches.window.mirrored()] * 2

    def describe(self) -> str:
        """Return the name; all settings come from the switches."""
        return "max-unpool"
