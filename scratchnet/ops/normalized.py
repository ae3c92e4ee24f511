"""The values that batch norm saves in the forward pass for the backward pass."""

from dataclasses import dataclass, replace

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import Argument


@dataclass(frozen=True)
class Normalized:
    """Input and statistics of a batch norm.

    Attributes
    ----------
    x : (n, h, w, c)
        The input, or the input minus the value in ``subtracted``.
    y : (n, h, w, c) or None
        The output, if it includes a ReLU and ``scale`` is None.
    mean, variance : (c,)
        The statistics used; the variance is the biased one (divided by n·h·w).
    inverse_std : (c,)
        1 / √(variance + ε)
    subtracted : ((c,), (c,)) or None
        If a faster form subtracted a value near the mean from its input in place: that value, and the mean of the
        difference.
    scale, shift : (c,) or None
        If a faster form included a ReLU: its mask is ``scale·x + shift > 0``, so that ``y`` need not be kept for it.
    """

    x: Array
    y: Array | None
    mean: Array
    variance: Array
    inverse_std: Array
    subtracted: tuple[Array, Array] | None = None
    scale: Array | None = None
    shift: Array | None = None

    @property
    def mean_of_x(self) -> Array:
        """The mean of ``x``, after the subtraction if there was one: (c,)."""
        return self.mean if self.subtracted is None else self.subtracted[1]

    @property
    def x_hat(self) -> Array:
        """The normalised input, x̂ = (x − μ) / √(σ² + ε): (n, h, w, c)."""
        x_hat: Array = (self.x - self.mean_of_x) * self.inverse_std
        return x_hat

    def positive(self) -> Array | None:
        """Return the mask of positive outputs of the ReLU, or None without a ReLU."""
        if self.scale is None or self.shift is None:
            return None if self.y is None else self.y > 0
        passed: Array = self.x * self.scale + self.shift > 0
        return passed

    def relu_backward(self, dy: Array) -> Array:
        """Return ``dy`` where the ReLU's output is positive and 0 elsewhere; ``dy`` itself without a ReLU."""
        positive = self.positive()
        return dy if positive is None else get_array_module(dy).where(positive, dy, dy.dtype.type(0))

    def without_relu(self) -> "Normalized":
        """Return a copy for a gradient that has already passed through the ReLU's backward pass."""
        return replace(self, y=None, scale=None, shift=None)


NORMALIZED = Argument(
    fields={
        "x": Argument("n h w c"),
        "y": Argument("n h w c", kind="any"),
        "mean": Argument("c"),
        "variance": Argument("c"),
        "inverse_std": Argument("c"),
        "scale": Argument("c"),
        "shift": Argument("c"),
    }
)
"""Expectation of an operation on a :class:`Normalized`."""
