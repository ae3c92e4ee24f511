"""Flat buffers: all parameters of a network in one array, for updates, sums over processes and checkpoints."""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from scratchnet.arrays import Array, to_host
from scratchnet.engine.memory.shared import shared_zeros
from scratchnet.layers.parameter import Parameter, ParameterKind

PARAMETER_KINDS: tuple[ParameterKind, ...] = ("weight", "bias", "scale", "shift")
"""The order of the kinds in the arrays."""


@dataclass
class FlatBuffers:
    """All parameters of a network in one array, all gradients in another, ordered by kind.

    Attributes
    ----------
    values, grads : (count,)
    segments : dict
        The slice of each kind of parameter. An update with one rate and decay per kind is a few array operations.
    """

    values: Array
    grads: Array
    segments: dict[ParameterKind, slice] = field(default_factory=dict)
    offsets: list[int] = field(default_factory=list)
    """Index of each parameter's first element."""
    _learned: list[tuple[slice, ParameterKind]] | None = None

    @property
    def learned(self) -> list[tuple[slice, ParameterKind]]:
        """The parts of the segments that are not frozen: they are updated and summed over processes."""
        return [(part, kind) for kind, part in self.segments.items()] if self._learned is None else self._learned

    @classmethod
    def zeros(cls, parameters: dict[str, Parameter], dtype: Any) -> "FlatBuffers":
        """Return new buffers to which the parameters are bound; refuse dtypes other than float32 and float64."""
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise TypeError(f"network: parameters are float32 or float64, not {np.dtype(dtype)}")
        count = sum(parameter.size for parameter in parameters.values())
        flat = cls(shared_zeros((count,), dtype), shared_zeros((count,), dtype))
        flat.bind(parameters)
        return flat

    def bind(self, parameters: dict[str, Parameter]) -> None:
        """Bind the parameters, which are ordered by kind, to consecutive parts of these buffers."""
        begin = 0
        self.offsets = []
        for parameter in parameters.values():
            self.offsets += [begin] if parameter.size else []
            end = begin + parameter.size
            parameter.bind(self.values[begin:end], self.grads[begin:end])
            first = self.segments.get(parameter.kind, slice(begin, begin)).start
            self.segments[parameter.kind] = slice(first, end)
            begin = end
        self.update_learned(parameters)

    def update_learned(self, parameters: dict[str, Parameter]) -> None:
        """Find the parts that are learned, after parameters have been frozen or unfrozen."""
        learned: list[tuple[slice, ParameterKind]] = []
        begin = 0
        for parameter in parameters.values():
            end = begin + parameter.size
            if not parameter.frozen:
                last, kind = learned[-1] if learned else (slice(0, 0), None)
                if kind == parameter.kind and last.stop == begin:
                    learned[-1] = (slice(last.start, end), parameter.kind)
                else:
                    learned.append((slice(begin, end), parameter.kind))
            begin = end
        self._learned = learned

    def trainable_slices(self) -> list[slice]:
        """Return the parts that are learned, regardless of their kind; adjacent parts are merged."""
        found: list[slice] = []
        for part, _ in self.learned:
            if found and found[-1].stop == part.start:
                found[-1] = slice(found[-1].start, part.stop)
            else:
                found.append(part)
        return found

    def to(self, xp: ModuleType) -> "FlatBuffers":
        """Return a copy on the device of a module, to which no parameter is bound yet."""
        return FlatBuffers(moved(self.values, xp), moved(self.grads, xp))


def moved(array: Array, xp: ModuleType) -> Array:
    """Return a copy on the device of a module; on the host in memory that forked processes share."""
    if xp is not np:
        on_device: Array = xp.asarray(array)
        return on_device
    host = shared_zeros(array.shape, array.dtype)
    host[...] = to_host(array)
    return host
