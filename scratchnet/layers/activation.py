"""ReLU, dropout and multiplication by a constant as layers."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.layers.base import Layer, Shape
from scratchnet.ops.activation import dropout, relu, relu_backward


class ReLU(Layer):
    """max(x, 0)."""

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → the same shape."""
        y = relu(x)
        self.keep(y)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx: dy where the output was positive."""
        (y,) = self.take()
        return relu_backward(dy, y)

    def output_shape(self, x: Shape) -> Shape:
        """Return the input's shape."""
        return x


class Dropout(Layer):
    """Drop numbers at random in training; do nothing otherwise.

    Parameters
    ----------
    rate : float
        The share that is set to 0.
    """

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: rate is {rate}; expected 0 ≤ rate < 1")
        self.rate = rate
        self.rng = np.random.default_rng(0)

    def seed(self, rng: np.random.Generator) -> None:
        """Draw from ``rng`` from now on."""
        self.rng = rng

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → the same shape."""
        if not self.training:
            self.keep(None)
            return x
        y, mask = dropout(x, self.rate, self.rng)
        self.keep(mask)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx: dy where the number was kept, scaled alike."""
        (mask,) = self.take()
        return dy if mask is None else dy * mask

    def output_shape(self, x: Shape) -> Shape:
        """Return the input's shape."""
        return x

    def describe(self) -> str:
        """Name and rate."""
        return f"dropout {self.rate:g}"


class Scale(Layer):
    """Multiply by a constant, which brings maps of different size to one (FCN-8s trained all at once)."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → the same shape."""
        y: Array = x * x.dtype.type(self.factor)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx, scaled alike."""
        dx: Array = dy * dy.dtype.type(self.factor)
        return dx

    def output_shape(self, x: Shape) -> Shape:
        """Return the input's shape."""
        return x

    def describe(self) -> str:
        """Name and factor."""
        return f"scale {self.factor:g}"
