"""ReLU, leaky ReLU, dropout and multiplication by a constant as layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.step_plan import ALONE, StepPlan
from scratchnet.ops.activation import dropout, dropout_backward, leaky_relu, leaky_relu_backward, relu, relu_backward
from scratchnet.utils.random_stream import RandomStream
from scratchnet.utils.validation import number


class ReLU(Layer):
    """max(x, 0)."""

    capturable = True
    kind = "pixelwise"
    drawn_with = "learned"

    def forward(self, x: Array, plan: StepPlan = ALONE) -> Array:
        """(n, h, w, c) → the same shape."""
        y = relu(x, x if plan.in_place else None)
        self.save_for_backward(None if plan.leave_mask_to_pool else y)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx: dy where the output was positive."""
        (y,) = self.take_saved()
        return dy if y is None else relu_backward(dy, y)

    def output_shape(self, x: Shape) -> Shape:
        """Return the input's shape."""
        return x

    def decisions(self, inputs: Sequence[Any], output: Array) -> list[Array]:
        """Return the output, which is positive where the input passes."""
        return [output]


class LeakyReLU(Layer):
    """max(x, slope · x): x where it is positive, a small multiple of x elsewhere.

    ReLU's gradient is 0 for every negative input, so a filter whose outputs are negative at all pixels of all images
    never learns again; here it still receives a small gradient.

    Parameters
    ----------
    negative_slope : float
        The factor of negative inputs, between 0 and 1.
    """

    capturable = True
    kind = "pixelwise"
    drawn_with = "learned"

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = number(negative_slope, "LeakyReLU: negative_slope", 0, 1, "()")

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → the same shape."""
        y = leaky_relu(x, self.negative_slope)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx: dy where the output was positive, a small multiple elsewhere."""
        (y,) = self.take_saved()
        return leaky_relu_backward(dy, y, self.negative_slope)

    def output_shape(self, x: Shape) -> Shape:
        """Return the input's shape."""
        return x

    def decisions(self, inputs: Sequence[Any], output: Array) -> list[Array]:
        """Return the output, which has the sign of the input."""
        return [output]

    def describe(self) -> str:
        """Return the name and the slope."""
        return f"leaky ReLU {self.negative_slope:g}"


class Dropout(Layer):
    """Set random elements to 0 during training; do nothing otherwise.

    Parameters
    ----------
    rate : float
        The fraction of elements that are set to 0.
    """

    capturable = True
    transient_attributes = frozenset({"stream"})
    kind = "pixelwise"
    drawn_with = "anything"

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__()
        self.rate = number(rate, "Dropout: rate", 0, 1, "[)")
        self.stream = RandomStream(generator(0, "dropout"))

    def seed(self, rng: np.random.Generator, first: int = 0) -> None:
        """Draw from ``rng`` from now on, for the images of a batch from ``first`` on."""
        self.stream.seed(rng, first)

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → the same shape."""
        if not self.training:
            self.stream.last_state = None
            self.save_for_backward(None)
            return x
        y, mask = dropout(x, self.rate, self.stream)
        self.save_for_backward(mask)
        return y

    def forward_again(self, x: Array) -> Array:
        """Repeat the last forward pass with the same mask."""
        if self.stream.last_state is None:
            self.save_for_backward(None)
            return x
        y, mask = dropout(x, self.rate, self.stream, again=True)
        self.save_for_backward(mask)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx: dy where the element was kept, with the same scale."""
        (mask,) = self.take_saved()
        return dy if mask is None else dropout_backward(dy, mask)

    def output_shape(self, x: Shape) -> Shape:
        """Return the input's shape."""
        return x

    def describe(self) -> str:
        """Return the name and the rate."""
        return f"dropout {self.rate:g}"


class Scale(Layer):
    """Multiply by a constant, which brings maps of different magnitude to one scale (FCN-8s trained all at once)."""

    capturable = True
    kind = "pixelwise"
    example = (0.5,)

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = number(factor, "Scale: factor")

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → the same shape."""
        y: Array = x * x.dtype.type(self.factor)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx, multiplied by the same factor."""
        dx: Array = dy * dy.dtype.type(self.factor)
        return dx

    def output_shape(self, x: Shape) -> Shape:
        """Return the input's shape."""
        return x

    def describe(self) -> str:
        """Return the name and the factor."""
        return f"scale {self.factor:g}"
