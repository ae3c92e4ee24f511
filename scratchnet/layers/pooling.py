"""Max-pooling and switch unpooling as layers."""

from collections.abc import Callable
from contextvars import ContextVar

from scratchnet.arrays import Array
from scratchnet.layers.base import Layer, Shape
from scratchnet.ops.geometry import Pair, windows
from scratchnet.ops.pooling import (
    Switches,
    check_padding,
    max_pool2d,
    max_pool2d_backward,
    max_unpool2d,
    max_unpool2d_backward,
)
from scratchnet.utils.validation import flag, pair

OBSERVER: ContextVar[Callable[["MaxPool2d", Array, Array], None] | None] = ContextVar("observer", default=None)
"""Called with the layer, input and output of every pooling; the gradient checker uses it to find ties."""


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
        self.masks = False
        """Whether to apply the backward pass of the preceding ReLU too; set by a network."""

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → (n, oh, ow, c)."""
        y, self.switches = max_pool2d(x, self.kernel, self.stride, self.padding, self.ceil_mode)
        self.save_for_backward(self.switches, y if self.masks else None)
        if (observe := OBSERVER.get()) is not None:
            observe(self, x, y)
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

    def describe(self) -> str:
        """Window and stride."""
        text = f"max-pool {self.kernel[0]}×{self.kernel[1]}"
        return text + (f", stride {self.stride[0]}" if self.stride != self.kernel else "")


class MaxUnpool2d(Layer):
    """Switch unpooling: takes a map and the switches of an earlier pooling, restores that pooling's input size."""

    capturable = True

    def __init__(self) -> None:
        super().__init__()
        self.forgets = False
        """Whether :meth:`recompute_output` will be called; set by a network."""

    def forward(self, x: Array, switches: Switches) -> Array:
        """(n, oh, ow, c) → (n, h, w, c)."""
        self.save_for_backward(switches, x if self.forgets else None)
        return max_unpool2d(x, switches)

    def recompute_output(self) -> Array:
        """Return once more what :meth:`forward` returned, between it and :meth:`backward`."""
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

    def describe(self) -> str:
        """Nothing to add: everything comes from the switches."""
        return "max-unpool"
