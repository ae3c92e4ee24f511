"""Training and inference without the Python in between: a network's passes, recorded once and replayed.

    fast = Replay(net)
    y = fast.forward(x)         # the first call with a shape runs as always, the second records, the others replay
    fast.backward(dy)

The numbers are bit for bit those of the network itself. A recording belongs to one shape of input, one mode and one set
of settings of the layers; anything else runs as always until it has come twice. Its memory stays reserved, so only the
last few recordings are kept. A Replay serves one thread at a time.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

import numpy as np

from scratchnet.arrays import Array, namespace
from scratchnet.crew import Crew, can_fork
from scratchnet.modes import is_precise, is_textbook
from scratchnet.network import Network
from scratchnet.recording import Program, Recorder, traced
from scratchnet.recycling import empty, shared_zeros
from scratchnet.threads import one_blas_thread, replay, thread_count

KEPT = 4
"""Recordings that are kept: whole and last batches, in training and in evaluation."""


@dataclass
class Tape:
    """One recording: the programs, and the arrays through which numbers go in and out."""

    x: Array
    recorder: Recorder = field(default_factory=Recorder)
    forward: Program | None = None
    y: Array | None = None
    dy: Array | None = None
    backward: Program | None = None
    dx: Array | None = None
    need_dx: bool = False
    crews: dict[tuple[int, int], Crew] = field(default_factory=dict)

    def run(self, program: Program) -> None:
        """Replay a program on all cores."""
        if not can_fork() or all(len(section) == 1 for section in program.sections):
            replay(program)
            return
        key = id(program), get_ident()  # the system ends processes together with the thread that forked them
        with one_blas_thread():
            if key not in self.crews:
                self.crews[key] = Crew(program)
            self.crews[key].run()


class Replay:
    """A network whose passes are recorded and replayed.

    Parameters
    ----------
    network : Network
        Layers of your own run as always, and so does the whole network then, unless their class says ``recordable``.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._tapes: OrderedDict[Any, Tape | None] = OrderedDict()
        self._last: Tape | None = None

    def forward(self, x: Array, keep: bool | None = None) -> Array:
        """Return what :meth:`Network.forward` returns."""
        keep = self.network.training if keep is None else keep
        self._last = None
        if not self._recordable(x):
            return self.network.forward(x, keep)
        key = self._key(x, keep)
        if key not in self._tapes:
            self._remember(key, None)
            return self.network.forward(x, keep)
        tape = self._tapes[key]
        self._tapes.move_to_end(key)
        if tape is None:
            tape = Tape(_shared(x))
            self._remember(key, tape)
        self._last = tape if keep else None
        if tape.forward is None:
            program = Program()
            with tape.recorder.writing(program):
                tape.y = self.network.forward(traced(tape.x), keep)
            tape.forward = program
        else:
            np.copyto(tape.x, x)
            tape.run(tape.forward)
        assert tape.y is not None  # set with the program
        return _copy(tape.y)

    def backward(self, dy: Array, need_dx: bool = False) -> Array | None:
        """Return what :meth:`Network.backward` returns; the gradients are added to as there.

        Raises
        ------
        ValueError
            When dx is wanted of a shape whose recording did not have it.
        """
        tape = self._last
        if tape is None:
            return self.network.backward(dy, need_dx)
        if tape.backward is None:
            tape.dy, tape.need_dx = _shared(dy), need_dx
            program = Program()
            with tape.recorder.writing(program):
                tape.dx = self.network.backward(traced(tape.dy), need_dx)
            tape.backward = program
        elif need_dx and not tape.need_dx:
            raise ValueError("replay: this shape was recorded without dx; ask for dx from the first call on")
        else:
            assert tape.dy is not None  # set with the program
            if dy.shape != tape.dy.shape:
                raise ValueError(f"replay: the gradient {dy.shape} must have the shape of the output {tape.dy.shape}")
            np.copyto(tape.dy, dy)
            tape.run(tape.backward)
        return None if tape.dx is None or not need_dx else _copy(tape.dx)

    def forget(self) -> None:
        """Drop all recordings and their memory."""
        self._tapes.clear()
        self._last = None

    def _remember(self, key: Any, tape: Tape | None) -> None:
        """Keep the last few recordings; memory is only held by those."""
        self._tapes.pop(key, None)
        self._tapes[key] = tape
        for old in list(self._tapes)[: -2 * KEPT]:
            del self._tapes[old]
        for old in [k for k, t in self._tapes.items() if t is not None][:-KEPT]:
            self._tapes[old] = None

    def _recordable(self, x: Array) -> bool:
        """Return whether every layer's class itself says that it may be replayed."""
        own = all("recordable" in vars(type(step.layer)) and step.layer.recordable for step in self.network.steps)
        return own and namespace(x) is np and not is_textbook()

    def _key(self, x: Array, keep: bool) -> Any:
        """Return all that a recording depends on, besides the numbers."""
        network = self.network
        settings = tuple(
            tuple((k, v) for k, v in vars(step.layer).items() if _is_setting(v) and k != "need_dx")
            for step in network.steps
        )
        memory = (id(network.flat().values), *(id(buffer.value) for buffer in network.state().values()))
        return x.shape, x.dtype.str, keep, network.training, is_precise(), thread_count(), memory, settings


def _is_setting(value: Any) -> bool:
    """Return whether an attribute of a layer is a plain setting: a number, a word, a tuple of such."""
    if isinstance(value, tuple):
        return all(map(_is_setting, value))
    return isinstance(value, bool | int | float | str)


def _shared(array: Array) -> Array:
    """Return a copy in memory that forked processes share."""
    result = shared_zeros(array.shape, array.dtype)
    np.copyto(result, array)
    return result


def _copy(array: Array) -> Array:
    """Return the numbers in an array of their own: the recording will write over its own."""
    plain = array.view(np.ndarray)
    result = empty(plain, plain.shape)
    np.copyto(result, plain)
    return result
