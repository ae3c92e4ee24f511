"""Training and inference without the Python in between: a network's passes, recorded once and replayed.

    fast = Replay(net)
    y = fast.forward(x)         # the first call with a shape runs as always, the second records, the others replay
    fast.backward(dy)

The numbers are bit for bit those of the network itself. A recording belongs to one shape of input, one mode and one set
of settings of the layers; anything else runs as always until it has come twice. Its memory stays reserved, so only the
last few recordings are kept. A Replay serves one thread at a time.
"""

import os
import warnings
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet.arrays import Array, namespace
from scratchnet.blas import one_blas_thread
from scratchnet.crew import Crew, can_fork
from scratchnet.modes import is_precise, is_textbook
from scratchnet.network import Network
from scratchnet.recording import Program, Recorder, traced
from scratchnet.recycling import common_pool, empty, shared_copy, using
from scratchnet.threads import replay, thread_count
from scratchnet.workspace import Workspace

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
    crew: Crew | None = None
    by_threads: bool = False
    """Whether a worker process was lost, so that threads replay from then on."""

    def run(self, program: Program) -> None:
        """Replay a program on all cores."""
        with one_blas_thread():
            crew = self._ready_crew() if any(len(section) > 1 for section in program.sections) else None
            if crew is None:
                replay(program)
            else:
                crew.run(0 if program is self.forward else 1)

    def _ready_crew(self) -> Crew | None:
        """Return the processes of both programs, forking them if need be; None where threads must do."""
        if self.crew is not None and self.crew.lost():
            self.crew.close()
            self.by_threads = True
            warnings.warn("a worker process has died; threads go on with its work", RuntimeWarning, stacklevel=2)
        if self.by_threads:
            return None
        if can_fork() and (self.crew is None or not self.crew.ready):
            try:
                self.crew = Crew(*(program for program in (self.forward, self.backward) if program is not None))
            except OSError:  # the system grants no more processes
                return None
        return self.crew if can_fork() else None


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
        self._first = Workspace()
        """Of calls that are not recorded. It is no larger than a recording's, and gone when one begins."""
        self._process = os.getpid()

    def forward(self, x: Array, keep: bool | None = None) -> Array:
        """Return what :meth:`Network.forward` returns."""
        keep = self.network.training if keep is None else keep
        self._last = None
        if self._process != os.getpid():  # a fork of the process that recorded would write to its memory
            self.forget()
            self._process = os.getpid()
        if not self._recordable(x):
            return self.network.forward(x, keep)
        key = self._key(x, keep)
        if key not in self._tapes:
            self._remember(key, None)
            with using(self._first):
                y = self.network.forward(x, keep)
            return _copy(y)
        tape = self._tapes[key]
        self._tapes.move_to_end(key)
        if tape is None:
            tape = Tape(shared_copy(x))
            self._remember(key, tape)
        np.copyto(tape.x, x)
        # What layers keep for the first backward may have been kept in another pass since: record both in one go.
        if tape.forward is None or (keep and tape.backward is None):
            program = Program()
            self._first = Workspace()  # a recording has memory of its own
            common_pool().forget()
            with tape.recorder.writing(program):
                tape.y = self.network.forward(traced(tape.x), keep)
            tape.forward = program
        else:
            tape.run(tape.forward)
        self._last = tape if keep else None
        assert tape.y is not None  # set with the program
        return _copy(tape.y)

    def backward(self, dy: Array, need_dx: bool = False, add: bool = True) -> Array | None:
        """Return what :meth:`Network.backward` returns; the gradients are added to, or replaced, as there.

        Raises
        ------
        ValueError
            When dx is wanted of a shape whose recording did not have it.
        """
        tape = self._last
        if tape is None and not self._recordable(dy):
            return self.network.backward(dy, need_dx, add)
        if tape is None:
            with using(self._first):
                dx = self.network.backward(dy, need_dx, add)
            return None if dx is None else _copy(dx)
        grads = self.network.flat().grads
        before = grads.copy() if add else None  # what is recorded replaces them
        if tape.backward is None:
            tape.dy, tape.need_dx = shared_copy(dy), need_dx
            program = Program()
            with tape.recorder.writing(program):
                tape.dx = self.network.backward(traced(tape.dy), need_dx, add=False)
            tape.backward = program
        elif need_dx and not tape.need_dx:
            raise ValueError("replay: this shape was recorded without dx; ask for dx from the first call on")
        else:
            assert tape.dy is not None  # set with the program
            if (dy.shape, dy.dtype) != (tape.dy.shape, tape.dy.dtype):
                raise ValueError(
                    f"replay: the gradient {dy.shape} {dy.dtype} must be like the recorded one, {tape.dy.shape} "
                    f"{tape.dy.dtype}"
                )
            np.copyto(tape.dy, dy)
            tape.run(tape.backward)
        if before is not None:
            grads += before
        self._last = None  # what the layers kept is used up
        return None if tape.dx is None or not need_dx else _copy(tape.dx)

    def forget(self) -> None:
        """Drop all recordings and their memory."""
        self._tapes.clear()
        self._last = None
        self._first = Workspace()

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
            (
                step.inputs,
                type(step.layer),
                tuple(parameter.frozen for parameter in step.layer.parameters.values()),
                *(i for i in vars(step.layer).items() if i[0] != "need_dx" and _is_setting(i[1])),
            )
            for step in network.steps
        )
        kept = (network.flat().values, *(buffer.value for buffer in network.state().values()))
        memory = tuple(array.__array_interface__["data"][0] for array in kept)  # a recording keeps it from being reused
        modes = keep, network.training, network.recompute, is_precise(), thread_count()
        return x.shape, x.dtype.str, *modes, memory, settings


def _is_setting(value: Any) -> bool:
    """Return whether an attribute of a layer is a plain setting: a number, a word, a tuple of such."""
    if isinstance(value, tuple):
        return all(map(_is_setting, value))
    return isinstance(value, bool | int | float | str)


def _copy(array: Array) -> Array:
    """Return the numbers in an array of their own: the recording will write over its own."""
    plain = array.view(np.ndarray)
    result = empty(plain, plain.shape)
    np.copyto(result, plain)
    return result
