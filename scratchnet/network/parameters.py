"""All parameters of a network in one array, so that updates, sums over processes and checkpoints use a single array."""

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
        The slice of each kind of parameter, so that an update with one rate and decay a kind is a few array operations.
    """

    values: Array
    grads: Array
    segments: dict[ParameterKind, slice] = field(default_factory=dict)
    begins: list[int] = field(default_factory=list)
    """Where each parameter's first number is."""
    _learned: list[tuple[slice, ParameterKind]] | None = None

    @property
    def learned(self) -> list[tuple[slice, ParameterKind]]:
        """The parts of the segments that are not frozen: all that is updated and summed over processes."""
        return [(part, kind) for kind, part in self.segments.items()] if self._learned is None else self._learned

    @classmethod
    def zeros(cls, parameters: dict[str, Parameter], dtype: Any) -> "FlatBuffers":
        """Return buffers that hold the parameters, and make them live there; refuse all but float32 and float64."""
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise TypeError(f"network: parameters are float32 or float64, not {np.dtype(dtype)}")
        count = sum(parameter.size for parameter in parameters.values())
        flat = cls(shared_zeros((count,), dtype), shared_zeros((count,), dtype))
        flat.bind(parameters)
        return flat

    def bind(self, parameters: dict[str, Parameter]) -> None:
        """Make the parameters, which come kind by kind, live in these buffers one behind the other."""
        begin = 0
        self.begins = []
        for parameter in parameters.values():
            self.begins += [begin] if parameter.size else []
            end = begin + parameter.size
            parameter.bind(self.values[begin:end], self.grads[begin:end])
            first = self.segments.get(parameter.kind, slice(begin, begin)).start
            self.segments[parameter.kind] = slice(first, end)
            begin = end
        self.choose(parameters)

    def choose(self, parameters: dict[str, Parameter]) -> None:
        """Note which parts are learned, after parameters have been frozen or unfrozen."""
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
        """Return the parts that are learned, of whatever kind, neighbours as one."""
        found: list[slice] = []
        for part, _ in self.learned:
            if found and found[-1].stop == part.start:
                found[-1] = slice(found[-1].start, part.stop)
            else:
                found.append(part)
        return found

    def to(self, xp: ModuleType) -> "FlatBuffers":
        """Return a copy in the memory of a module's device; no parameter lives there yet."""
        return FlatBuffers(moved(self.values, xp), moved(self.grads, xp))


def moved(array: Array, xp: ModuleType) -> Array:
    """Return an array in a module's memory; on the host in memory that forked processes share."""
    if xp is not np:
        there: Array = xp.asarray(array)
        return there
    host = shared_zeros(array.shape, array.dtype)
    host[...] = to_host(array)
    return host
