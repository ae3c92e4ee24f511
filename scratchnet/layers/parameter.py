"""Parameters, which are learned by gradient, and buffers, which are not."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias

from scratchnet.arrays import Array
from scratchnet.layers.initialization import Initializer
from scratchnet.ops.updates import add_to, copy_to

ParameterKind: TypeAlias = Literal["weight", "bias", "scale", "shift"]
"""The kinds of parameters; training recipes treat them differently (bias: twice the learning rate, no decay)."""


class Parameter:
    """A learnable array and its gradient.

    A new parameter has a shape and an initializer but no memory. :meth:`Network.allocate` creates one flat array for
    all values of a network and one for all gradients; ``value`` and ``grad`` are views of their parts.

    Parameters
    ----------
    shape : tuple of int
    kind : "weight", "bias", "scale" or "shift"
    initializer : Initializer

    Attributes
    ----------
    binding : object
        Identifies the memory: a new object after every :meth:`bind`.
    frozen : bool
        Whether it is used but not learned, see :meth:`freeze`.
    grad_is_stale : bool
        Whether the next gradient replaces the current one, see :meth:`mark_grad_stale`.
    """

    def __init__(self, shape: tuple[int, ...], kind: ParameterKind, initializer: Initializer) -> None:
        self.shape, self.kind, self.initializer = shape, kind, initializer
        self._arrays: tuple[Array, Array] | None = None
        self.binding: object = None
        self.grad_is_stale = self.frozen = False

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    def bind(self, value: Array, grad: Array) -> None:
        """Use the memory of these two arrays for the value and the gradient from now on."""
        self._arrays = (value.reshape(self.shape), grad.reshape(self.shape))
        self.binding = object()

    def view_as(self, view: Callable[[Array], Array]) -> None:
        """Replace the two arrays by views of the same memory, ``view(array)``; the binding stays the same."""
        if self._arrays is not None:
            self._arrays = view(self._arrays[0]), view(self._arrays[1])

    @property
    def value(self) -> Array:
        """The parameter's values. Assignment, including ``value -= …``, writes to the network's buffer."""
        return self._bound()[0]

    @value.setter
    def value(self, values: Array) -> None:
        _write(values, self.value, "value")

    @property
    def grad(self) -> Array:
        """The gradient of the loss with respect to the value; by default every backward pass adds to it."""
        self.clear_stale_grad()
        return self._bound()[1]

    @grad.setter
    def grad(self, values: Array) -> None:
        _write(values, self.grad, "grad")

    def freeze(self, frozen: bool = True) -> None:
        """Use the parameter without learning it: it gets no gradient and no update; see :meth:`Network.freeze`."""
        self.frozen = frozen

    def mark_grad_stale(self, stale: bool = True) -> None:
        """Let the next gradient replace the current one, as if that were 0; frozen parameters keep theirs."""
        self.grad_is_stale = stale and not self.frozen

    def clear_stale_grad(self) -> None:
        """Set a stale gradient to 0."""
        if self.grad_is_stale:
            self.grad_is_stale = False
            self._bound()[1][...] = 0

    def grad_buffer(self) -> Array | None:
        """Return the gradient buffer if it may be overwritten before :meth:`add_grad`, else None."""
        return self._bound()[1] if self.grad_is_stale else None

    def add_grad(self, gradient: Array, buffer: Array | None = None) -> None:
        """Add to the gradient; do nothing if it was already written to ``buffer``, or if the parameter is frozen."""
        if self.frozen:
            return
        grad_is_stale, self.grad_is_stale = self.grad_is_stale, False
        if grad_is_stale and gradient is not buffer:
            copy_to(self.grad, gradient)
        elif not grad_is_stale:
            add_to(self.grad, gradient)

    def _bound(self) -> tuple[Array, Array]:
        if self._arrays is None:
            raise RuntimeError("this layer has no memory yet: call allocate() on its network first")
        return self._arrays


def _write(values: Array, target: Array, name: str) -> None:
    """Assign to a parameter's array, whose shape must be the same."""
    if getattr(values, "shape", None) != target.shape:
        raise ValueError(f"parameter: {name} has shape {target.shape}; got {getattr(values, 'shape', values)}")
    target[...] = values


@dataclass
class Buffer:
    """An array that a layer updates without gradients: batch norm's running statistics.

    Attributes
    ----------
    value : Array
    initial_value : float
        Initial value of every element, set by :meth:`Network.allocate`.
    """

    value: Array
    initial_value: float = 0.0

    def bind(self, value: Array) -> None:
        """Use this array from now on."""
        self.value = value
