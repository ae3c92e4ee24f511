"""Fuse neighbouring layers of a network to save time and memory.

Layers are independent of each other, and each works as if its input, its output and every gradient were used elsewhere.
The network knows which values are. If no other step uses the value between two steps,

- a ReLU needs no separate pass: the preceding batch norm also computes the maximum with 0, or the ReLU overwrites the
  output of the preceding convolution;
- batch norm after a convolution subtracts the mean from the convolution's output in place;
- the bias of that convolution gets no gradient: batch norm subtracts any constant again, so Σ dx = 0;
- max-pooling after a ReLU passes a gradient where its *maximum* is positive, at a quarter of the pixels, and the ReLU's
  output need not be saved;
- batch norm computes its gradient in place, in the array that it gets from a convolution or a pooling;
- the input of a convolution with many channels is not saved but recomputed in the backward pass, by the preceding batch
  norm and ReLU or by the preceding unpooling. That costs one pass over memory, which is cheap compared with the
  convolution, and saves half of the memory that a layer keeps.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeGuard

from scratchnet.engine.modes import is_textbook
from scratchnet.layers.activation import ReLU
from scratchnet.layers.base import Layer
from scratchnet.layers.builtin import is_builtin
from scratchnet.layers.convolution import Conv2d, ConvTranspose2d
from scratchnet.layers.normalization import BatchNorm2d
from scratchnet.layers.pooling import MaxPool2d, MaxUnpool2d
from scratchnet.network.step import Step

MANY = 64
"""From this number of channels on, a convolution takes far longer than recomputing its input."""


@dataclass
class Joins:
    """Fusions found in a network.

    Attributes
    ----------
    skipped : set of Layer
        ReLUs that batch norm does.
    again : dict of convolution to BatchNorm2d or MaxUnpool2d
        Convolutions that do not keep their input, and the layer that makes it again.
    told : list of (Layer, str)
        Attributes to be set while a pass runs.
    """

    skipped: set[Layer] = field(default_factory=set)
    again: dict[Layer, BatchNorm2d | MaxUnpool2d] = field(default_factory=dict)
    told: list[tuple[Layer, str]] = field(default_factory=list)

    def forget_input(self, layer: Layer) -> None:
        """Drop the layer's input if it can be recomputed."""
        if self._forgets_input(layer):
            layer.forget_input()

    def remember_input(self, layer: Layer) -> None:
        """Recompute that input before the layer's backward pass."""
        if self._forgets_input(layer):
            layer.remember_input(self.again[layer].recompute_output())

    def skips(self, layer: Layer) -> bool:
        """Return whether batch norm does the work of this layer; of exact types only, as others may not hash."""
        return type(layer) is ReLU and layer in self.skipped

    def _forgets_input(self, layer: Layer) -> TypeGuard[Conv2d | ConvTranspose2d]:
        return type(layer) in (Conv2d, ConvTranspose2d) and layer in self.again


def joins(steps: Sequence[Step]) -> list[tuple[ReLU, Layer]]:
    """Return every ReLU that can be joined to the step before it, and that step's layer."""
    return [
        (taker, layer)
        for layer, taker in _behind(steps).items()
        if isinstance(taker, ReLU) and isinstance(layer, BatchNorm2d | Conv2d | ConvTranspose2d)
    ]


def find(steps: Sequence[Step], again: bool) -> Joins:
    """Return all that steps can leave out; ``again`` allows what costs time for memory."""
    found, behind = Joins(), _behind(steps)
    relus = {first: relu for relu, first in joins(steps)}
    for layer, taker in behind.items():
        relu = relus.get(layer)
        if isinstance(layer, Conv2d | ConvTranspose2d) and isinstance(taker, BatchNorm2d):
            found.told.append((taker, "overwrites_input"))
            if taker.uses_batch:
                found.told.append((layer, "bias_is_lost"))
        elif isinstance(layer, Conv2d | ConvTranspose2d) and relu is not None:
            found.told.append((relu, "joined"))
        if isinstance(layer, BatchNorm2d):
            if relu is not None:
                found.told.append((layer, "joined"))
                found.skipped.add(relu)
            _look_behind(layer, behind[relu] if relu is not None else taker, relu is not None, found, again)
        elif isinstance(layer, ReLU) and isinstance(taker, MaxPool2d) and layer not in found.skipped:
            found.told += [(layer, "masked"), (taker, "masks")]
        elif again and isinstance(layer, MaxUnpool2d):
            _make_again(layer, taker, found)
    return found


def not_kept(steps: Sequence[Step], again: bool) -> set[str]:
    """Return the names of the steps whose values no step keeps for its backward pass though others might."""
    found, relus = find(steps, again), {first: relu for relu, first in joins(steps)}
    free = {layer for layer, what in found.told if what in ("masked", "forgets")}
    exact = [step for step in steps if is_builtin(step.layer)]
    return {step.name for step in exact if step.layer in free or relus.get(step.layer) in free}


def _look_behind(norm: BatchNorm2d, taker: Layer | None, relu: bool, found: Joins, again: bool) -> None:
    """Plan fusions with the consumer of batch norm, with or without a ReLU in between."""
    if isinstance(taker, Conv2d | ConvTranspose2d | MaxPool2d | MaxUnpool2d):  # whose dx is an array of its own
        found.told.append((norm, "overwrites_gradient"))
    if relu and isinstance(taker, MaxPool2d):
        found.told += [(norm, "masked"), (taker, "masks")]
    if again and relu:
        _make_again(norm, taker, found)


def _make_again(layer: BatchNorm2d | MaxUnpool2d, taker: Layer | None, found: Joins) -> None:
    """Let a layer recompute its output for the convolution that takes it, if that is worthwhile."""
    if isinstance(taker, Conv2d | ConvTranspose2d) and taker.channels[0] >= MANY:
        found.told.append((layer, "forgets"))
        found.again[taker] = layer


def _behind(steps: Sequence[Step]) -> dict[Layer, Layer | None]:
    """Return the layer behind every layer, None where its value is not taken exactly once.

    Only the package's own layers are looked at, exact types with nothing replaced: a subclass may compute something
    else, keep other things, or hand on a gradient that it still needs.
    """
    takers = Counter(name for step in steps for name in step.inputs)
    trusted = [step for step in steps if is_builtin(step.layer)]
    only = {name: step.layer for step in trusted for name in step.inputs if takers[name] == 1}
    return {step.layer: only.get(step.name) for step in trusted}


@contextmanager
def joined(steps: Sequence[Step], again: bool = False) -> Iterator[Joins]:
    """Enable the fusions of the layers inside this block; no effect in textbook mode."""
    found = Joins() if is_textbook() else find(steps, again)
    for layer, what in found.told:
        setattr(layer, what, True)
    try:
        yield found
    finally:
        for layer, what in found.told:
            setattr(layer, what, False)
