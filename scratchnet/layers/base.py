"""What all layers share: parameters, buffers, and a place to keep what the backward pass needs."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.initialization import Initializer
from scratchnet.ops.updates import add_to, copy_to
from scratchnet.recording import traced

Shape: TypeAlias = tuple[int, int, int, int]
"""(n, h, w, c)"""

Kind: TypeAlias = Literal["weight", "bias", "scale", "shift"]
"""What a parameter is; training recipes treat the kinds differently (bias: twice the rate, no decay)."""


class Parameter:
    """A learnable array and its gradient.

    A fresh parameter knows its shape and how it starts, and holds no memory; :meth:`Network.allocate` gives
    ``value`` and ``grad`` their places in the network's flat buffers.

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
        """Another object after every :meth:`place`."""
        self.outdated = False
        """Whether the next gradient takes the place of the one that is there, as if that were 0."""
        self.frozen = False
        """Whether it is used but not learned: it gets no gradient and no update. See :meth:`Network.freeze`."""

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    def place(self, value: Array, grad: Array) -> None:
        """Live in these two arrays from now on."""
        self._arrays = (value.reshape(self.shape), grad.reshape(self.shape))
        self.place_id = object()

    @property
    def value(self) -> Array:
        """The numbers. Assigning, also ``value -= …``, writes into the network's buffer."""
        return self._placed()[0]

    @value.setter
    def value(self, numbers: Array) -> None:
        _write(numbers, self.value, "value")

    @property
    def grad(self) -> Array:
        """The gradient of the loss by them; every backward pass adds to it (``grad += …``), unless told otherwise."""
        self.clear_outdated()
        return self._placed()[1]

    @grad.setter
    def grad(self, numbers: Array) -> None:
        _write(numbers, self.grad, "grad")

    def clear_outdated(self) -> None:
        """Set an outdated gradient to 0."""
        if self.outdated:
            self.outdated = False
            self._placed()[1][...] = 0

    def room(self) -> Array | None:
        """Return where a gradient may be written before :meth:`accumulate`; None where one is that counts."""
        return self._placed()[1] if self.outdated else None

    def accumulate(self, gradient: Array, room: Array | None = None) -> None:
        """Add to the gradient; nothing is left to do where it was written to its ``room``, or for a frozen one."""
        if self.frozen:
            return
        outdated, self.outdated = self.outdated, False
        if outdated and gradient is not room:
            copy_to(self.grad, gradient)
        elif not outdated:
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
        What every number of it is after :meth:`Network.allocate`.
    """

    value: Array
    start: float = 0.0


class Layer:
    """A function with a memory: what ``forward`` saw is kept until ``backward`` has used it.

    A layer defines

    - ``forward(*inputs) -> output``, arrays (n, h, w, c);
    - ``backward(dy) -> dx``: the gradient by the input (a tuple for several inputs, None for what has no gradient),
      after adding the gradients of its parameters to ``parameter.grad``;
    - ``output_shape(*shapes) -> shape``, from shapes alone, so that a network can be listed without memory;

    and, if ``forward`` draws at random or changes the layer, ``forward_again(*inputs)``.

    A class may say ``recordable = True``. A :class:`Replay <scratchnet.replay.Replay>` then repeats the array calls of
    its passes without running the Python again, so ``forward`` and ``backward`` must

    - compute with the arrays that they are given, by NumPy functions, operators and the package's ops: what
      ``np.asarray``, ``np.array``, ``memoryview`` or SciPy take out of them is frozen into the recording;
    - make new arrays by ``scratchnet.recycling.empty`` or ``zeros``;
    - call functions of other libraries, and draw at random, by ``scratchnet.recording.perform``;
    - make the same calls whatever the numbers are: no ``if x.max() > 0``;
    - change no attribute: what backward needs goes into ``self.keep``, statistics into buffers;
    - depend on nothing but inputs, attributes, parameters and buffers: not on global variables or the time.

    All attributes, also lists, dicts and arrays up to 1 MB, are compared at every call, and a change makes a new
    recording. The first replay on new numbers is compared with a plain pass, bit for bit. Where a layer breaks a rule
    and that can be noticed, a RuntimeWarning names it, and the network runs without recordings from then on. A branch
    in Python that only later inputs take cannot be noticed.
    """

    recordable = False
    """Whether a replay may repeat the passes, see above. It is not inherited: a class that wants it says so itself."""

    forward: Callable[..., Array]
    backward: Callable[..., Any]
    output_shape: Callable[..., Shape]

    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    """What the layer was made with, by position and by name; a saved network holds it."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a layer and note its arguments."""
        layer = super().__new__(cls)
        layer.arguments = args, kwargs
        return layer

    def __init__(self) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.buffers: dict[str, Buffer] = {}
        self.training = False
        self.need_dx = True
        """Whether ``backward`` must return dx; a network switches it off where nothing before the layer learns."""
        self.kept: tuple[Any, ...] | None = None
        """What the last forward pass left for ``backward``."""

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle is made from: everything but what is kept for a backward pass."""
        return vars(self) | {"kept": None}

    def forward_again(self, *inputs: Any) -> Array:
        """Return what the last forward pass returned for the same inputs, and keep what ``backward`` needs.

        The layer stays as it is otherwise, and other processes do not notice.
        """
        return self.forward(*inputs)

    def keep(self, *values: Any) -> None:
        """Store what ``backward`` will need."""
        self.kept = values

    def take(self) -> tuple[Any, ...]:
        """Return what was kept, and forget it."""
        if self.kept is None:
            raise RuntimeError(f"{type(self).__name__}.backward was called without a forward before it")
        kept, self.kept = self.kept, None
        return kept

    def learns(self) -> bool:
        """Return whether any of its parameters is learned; frozen ones are not."""
        return any(not parameter.frozen for parameter in self.parameters.values())

    def release(self) -> None:
        """Forget what was kept, when no backward will come."""
        self.kept = None

    def seed(self, rng: np.random.Generator, first: int = 0) -> None:
        """Take a new random stream, from a batch's image ``first`` on; only layers that draw (dropout) listen."""

    def products(self, *shapes: Shape) -> int:
        """Return the multiply-adds of one forward pass; 0 for layers without matrix products."""
        return 0

    def describe(self) -> str:
        """Say what the layer is, in the few words of a table."""
        return type(self).__name__
