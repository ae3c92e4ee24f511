"""The base class of all layers, with parameters, buffers and saved values for the backward pass."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture import traced
from scratchnet.layers.description import Description
from scratchnet.layers.initialization import Initializer
from scratchnet.ops.updates import add_to, copy_to

Shape: TypeAlias = tuple[int, int, int, int]
"""(n, h, w, c)"""

Kind: TypeAlias = Literal["weight", "bias", "scale", "shift"]
"""The kinds of parameters; training recipes treat them differently (bias: twice the learning rate, no decay)."""


class Parameter:
    """A learnable array and its gradient.

    A new parameter has a shape and an initializer but no memory; :meth:`Network.allocate` places ``value`` and ``grad``
    in the network's flat buffers.

    Parameters
    ----------
    shape : tuple of int
    kind : "weight", "bias", "scale" or "shift"
    start : Initializer
    """

    def __init__(self, shape: tuple[int, ...], kind: Kind, start: Initializer) -> None:
        self.shape, self.kind, self.start = shape, kind, start
        self._arrays: tuple[Array, Array] | None = None
        self.place_id: object = None
        """A new object after every :meth:`place`."""
        self.grad_is_stale = False
        """Whether the next gradient replaces the current one, as if that were 0."""
        self.frozen = False
        """Whether it is used but not learned: it gets no gradient and no update. See :meth:`Network.freeze`."""

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    def place(self, value: Array, grad: Array) -> None:
        """Use these two arrays for the value and the gradient from now on."""
        self._arrays = (value.reshape(self.shape), grad.reshape(self.shape))
        self.place_id = object()

    @property
    def value(self) -> Array:
        """The parameter's values. Assignment, including ``value -= …``, writes to the network's buffer."""
        return self._placed()[0]

    @value.setter
    def value(self, numbers: Array) -> None:
        _write(numbers, self.value, "value")

    @property
    def grad(self) -> Array:
        """The gradient of the loss with respect to the value; by default every backward pass adds to it."""
        self.clear_stale_grad()
        return self._placed()[1]

    @grad.setter
    def grad(self, numbers: Array) -> None:
        _write(numbers, self.grad, "grad")

    def clear_stale_grad(self) -> None:
        """Set an outdated gradient to 0."""
        if self.grad_is_stale:
            self.grad_is_stale = False
            self._placed()[1][...] = 0

    def grad_buffer(self) -> Array | None:
        """Return the gradient buffer if it may be overwritten before :meth:`add_grad`, else None."""
        return self._placed()[1] if self.grad_is_stale else None

    def add_grad(self, gradient: Array, buffer: Array | None = None) -> None:
        """Add to the gradient; do nothing if it was already written to ``buffer``, or if the parameter is frozen."""
        if self.frozen:
            return
        grad_is_stale, self.grad_is_stale = self.grad_is_stale, False
        if grad_is_stale and gradient is not buffer:
            copy_to(self.grad, gradient)
        elif not grad_is_stale:
            add_to(self.grad, gradient)

    def _placed(self) -> tuple[Array, Array]:
        if self._arrays is None:
            raise RuntimeError("this layer has no memory yet: call allocate() on its network first")
        value, grad = self._arrays
        return traced(value), traced(grad)


def _write(numbers: Array, target: Array, name: str) -> None:
    """Assign to a parameter's array, whose shape must be the same."""
    if getattr(numbers, "shape", None) != target.shape:
        raise ValueError(f"parameter: {name} has shape {target.shape}; got {getattr(numbers, 'shape', numbers)}")
    target[...] = numbers


@dataclass
class Buffer:
    """An array that a layer keeps but does not learn by gradient: batch norm's running statistics.

    Attributes
    ----------
    value : Array
    start : float
        Initial value of every element, set by :meth:`Network.allocate`.
    """

    value: Array
    start: float = 0.0


class Layer(Description):
    """A function that saves values in ``forward`` until ``backward`` has used them.

    A layer defines

    - ``forward(*inputs) -> output``, arrays (n, h, w, c);
    - ``backward(dy) -> dx``: returns the gradient with respect to the input (a tuple for several inputs, None for an
      input without gradient) and adds the gradients of its parameters to ``parameter.grad``;
    - ``output_shape(*shapes) -> shape``, from shapes alone, so that a network can be listed without allocating memory;

    and, if ``forward`` draws random values or changes the layer, ``forward_again(*inputs)``.

    What it states about itself, such as ``kind`` and ``windows``, is optional
    (:class:`scratchnet.layers.description.Description`).

    A class may set ``capturable = True``. ``scratchnet.compile(net)`` then repeats the array calls of
    its passes without running the Python code again, so ``forward`` and ``backward`` must

    - compute with the given arrays, using NumPy functions, operators and the package's ops: values extracted with
      ``np.asarray``, ``np.array``, ``memoryview`` or SciPy become constants of the recording;
    - allocate new arrays with ``scratchnet.engine.memory.pool.pooled_empty`` or ``pooled_zeros``;
    - call functions of other libraries, and draw random values, through ``scratchnet.engine.capture.record_call``;
    - make the same calls for all values: no ``if x.max() > 0``;
    - change no attribute: values for backward go into ``self.save_for_backward``, statistics into buffers;
    - depend only on inputs, attributes, parameters and buffers: not on global variables or the time.

    All attributes, including lists, dicts and arrays up to 1 MB, are compared at every call, and a change triggers a
    new recording. The first replay on new values is compared with a normal pass, bit for bit. If a violation of these
    rules is detected, a RuntimeWarning names the layer, and the network runs without recordings from then on. A Python
    branch that only later inputs take cannot be detected.
    """

    capturable = False
    """Whether a replay may repeat the passes, see above. It is not inherited: each class must set it."""

    forward: Callable[..., Array]
    backward: Callable[..., Any]
    output_shape: Callable[..., Shape]

    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    """The constructor's positional and keyword arguments, stored in saved networks."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Create a layer and record its arguments."""
        layer = super().__new__(cls)
        layer.arguments = args, kwargs
        return layer

    def __init__(self) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.buffers: dict[str, Buffer] = {}
        self.training = False
        self.needs_input_grad = True
        """Whether ``backward`` must return dx; a network disables it if no earlier layer learns."""
        self.saved: tuple[Any, ...] | None = None
        """Values saved by the last forward pass for ``backward``."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to copy or pickle: everything except the values saved for a backward pass."""
        return vars(self) | {"saved": None}

    def forward_again(self, *inputs: Any) -> Array:
        """Repeat the last forward pass for the same inputs, saving the values that ``backward`` needs.

        The layer does not change otherwise, and does not communicate with other processes.
        """
        return self.forward(*inputs)

    def save_for_backward(self, *values: Any) -> None:
        """Save values for ``backward``."""
        self.saved = values

    def take_saved(self) -> tuple[Any, ...]:
        """Return the saved values and discard them."""
        if self.saved is None:
            raise RuntimeError(f"{type(self).__name__}.backward was called without a forward before it")
        saved, self.saved = self.saved, None
        return saved

    def learns(self) -> bool:
        """Return whether any of its parameters is learned; frozen ones are not."""
        return any(not parameter.frozen for parameter in self.parameters.values())

    def release(self) -> None:
        """Discard the saved values if no backward pass will follow."""
        self.saved = None

    def seed(self, rng: np.random.Generator, first: int = 0) -> None:
        """Set a new random stream, starting at image ``first`` of a batch; only used by random layers (dropout)."""
