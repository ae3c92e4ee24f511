"""The memory of a network: parameters and gradients in flat buffers, the buffers of its layers, and their device."""

from types import ModuleType
from typing import Any, Self

import numpy as np

from scratchnet.arrays import generator, get_array_module
from scratchnet.layers.parameter import Buffer, Parameter
from scratchnet.network.ownership import Owner, claim
from scratchnet.network.parameters import PARAMETER_KINDS, FlatBuffers, moved
from scratchnet.network.step import Step


class NetworkMemory(Owner):
    """Base class of a network: allocates and moves the parameters and buffers of its steps.

    Attributes
    ----------
    steps : list of Step
    buffers : FlatBuffers or None
        None before :meth:`allocate`.
    """

    steps: list[Step]
    buffers: FlatBuffers | None

    def parameters(self) -> dict[str, Parameter]:
        """Return every parameter as ``step.name``, in the order of the flat buffers: by kind, then by step."""
        named = {f"{s.name}.{key}": p for s in self.steps for key, p in s.layer.parameters.items()}
        return {name: p for kind in PARAMETER_KINDS for name, p in named.items() if p.kind == kind}

    def state(self) -> dict[str, Buffer]:
        """Return every buffer of a layer, which is not learned by gradient, as ``step.name``."""
        return {f"{s.name}.{key}": b for s in self.steps for key, b in s.layer.buffers.items()}

    def parameter_count(self) -> int:
        """Return the number of learnable values."""
        return sum(p.size for p in self.parameters().values())

    def allocate(self, seed: int = 0, dtype: Any = np.float32) -> Self:
        """Allocate and initialise every parameter and buffer; return the network.

        The initial values of a parameter depend only on the seed and its name, not on the rest of the network.

        Raises
        ------
        TypeError
            If ``dtype`` is neither float32 nor float64.
        ValueError
            If a parameter also belongs to another step or another network.
        """
        named = self.parameters()
        for step in self.steps:
            claim(self, step)
        self.buffers = FlatBuffers.zeros(named, dtype)
        for name, parameter in named.items():
            parameter.value[...] = parameter.initializer(generator(seed, "start", name), parameter.shape)
        for buffer in self.state().values():
            buffer.bind(np.full(buffer.value.shape, buffer.initial_value, dtype))
        return self

    def to(self, xp: ModuleType) -> Self:
        """Move parameters and buffers to the device of a module, NumPy or CuPy; return the network.

        Values that layers saved for a backward pass are discarded.
        """
        if get_array_module(self.flat().values) is xp:
            return self
        self.buffers = self.flat().to(xp)
        self.buffers.bind(self.parameters())
        for buffer in self.state().values():
            buffer.bind(moved(buffer.value, xp))
        self.release()
        return self

    def release(self) -> None:
        """Discard the values that layers saved for a backward pass."""
        for step in self.steps:
            step.layer.release()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a copy whose parameters are in flat buffers of its own."""
        vars(self).update(state)
        if self.buffers is not None:
            self.buffers = self.buffers.to(get_array_module(self.buffers.values))
            self.buffers.bind(self.parameters())
        for step in self.steps:
            claim(self, step)

    def flat(self) -> FlatBuffers:
        """Return the flat buffers.

        Raises
        ------
        RuntimeError
            If the network has no memory yet.
        """
        if self.buffers is None:
            raise RuntimeError("this network has no memory yet: call allocate() first")
        return self.buffers

    def zero_grad(self) -> None:
        """Set all gradients to 0."""
        self.flat().grads[...] = 0
