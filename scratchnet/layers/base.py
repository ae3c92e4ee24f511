"""The base class of all layers."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.layers.description import Description
from scratchnet.layers.parameter import Buffer, Parameter

Shape: TypeAlias = tuple[int, int, int, int]
"""(n, h, w, c)"""


class Layer(Description):
    """A function that saves values in ``forward`` until ``backward`` has used them.

    A layer defines

    - ``forward(*inputs) -> output``, arrays (n, h, w, c);
    - ``backward(dy) -> dx``: returns the gradient with respect to the input (a tuple for several inputs, None for an
      input without gradient) and adds the gradients of its parameters to ``parameter.grad``;
    - ``output_shape(*shapes) -> shape``, from shapes alone, so that a network can be listed without allocating memory;

    and, if ``forward`` draws random values or changes the layer, ``forward_again(*inputs)``.

    Statements about itself, such as ``kind`` and ``windows``, are optional
    (:class:`scratchnet.layers.description.Description`). So are the class attributes below: without them the layer
    trains and is saved like any other. ``docs/contributing.md`` says when to set ``capturable``.
    """

    capturable = False
    """Whether ``scratchnet.compile`` may repeat the passes without running their Python code again. It is not
    inherited: each class must set it. ``docs/contributing.md`` lists the requirements."""

    transient_attributes: frozenset[str] = frozenset({"saved", "needs_input_grad"})
    """Attributes that passes change and that are not settings. Subclasses add to those of their base class."""

    saved_as: type["Layer"] | None = None
    """The class that network files name instead of this one, for a layer with a constructor argument that a file cannot
    hold, such as a function. ``arguments`` are then those of that class."""

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
        """Whether the layer is in training mode, see :meth:`set_training`."""
        self.needs_input_grad = True
        """Whether ``backward`` must return dx, see :meth:`set_needs_input_grad`."""
        self.saved: tuple[Any, ...] | None = None
        """Values saved by the last forward pass for ``backward``."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to copy or pickle: everything except the values saved for a backward pass."""
        return vars(self) | {"saved": None}

    def set_training(self, training: bool) -> None:
        """Switch to training mode or to evaluation mode."""
        self.training = training

    def set_needs_input_grad(self, needed: bool) -> None:
        """Choose whether ``backward`` must return dx; a network does not need it if no earlier layer learns."""
        self.needs_input_grad = needed

    def change_settings(self, settings: Mapping[str, Any]) -> None:
        """Set attributes by name: those that a network file lists because they were changed after construction."""
        for name, value in settings.items():
            setattr(self, name, value)

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
