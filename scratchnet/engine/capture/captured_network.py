"""Record a network's passes once and replay them, for training and inference without Python overhead.

    fast = Replay(net)
    y = fast.forward(x)         # the first call with a shape runs as always, the second records, the others replay
    fast.backward(dy)

The results are bit for bit those of the network itself. A recording is valid for one input shape, one mode and one set
of layer settings; a new combination runs normally the first time and is recorded the second time. The memory of a
recording stays reserved, so only the last few are kept. Use a Replay from one thread at a time.
"""

import os
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.capture import Program, Recorder, reason_of, traced
from scratchnet.engine.capture.capture_key import NotComparable, changed_settings, digest, settings_of
from scratchnet.engine.capture.first_replay import State, Trail, learns_in_place
from scratchnet.engine.capture.traced_memory import traced_memory
from scratchnet.engine.capture.trial import FROZEN, Trial, try_forward
from scratchnet.engine.capture.worker_processes import WorkerProcesses, can_fork
from scratchnet.engine.cpu.blas import one_blas_thread
from scratchnet.engine.cpu.threads import replay_on_threads, thread_count
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import allocate_from, default_pool
from scratchnet.engine.memory.shared import shared_copy
from scratchnet.engine.memory_layout import contiguous_copy
from scratchnet.engine.modes import is_precise, is_textbook
from scratchnet.layers.builtin import is_builtin, is_patched
from scratchnet.layers.synchronized import SyncBatchNorm2d
from scratchnet.network import Network
from scratchnet.network.fingerprints import Fingerprint, check_parameters
from scratchnet.network.watching import watched_by

KEPT = 4
"""Recordings that are kept: whole and last batches, in training and in evaluation."""


@dataclass
class Capture:
    """One recording: the programs, and the arrays through which numbers go in and out."""

    x: Array
    recorder: Recorder = field(default_factory=Recorder)
    forward: Program | None = None
    y: Array | None = None
    dy: Array | None = None
    backward: Program | None = None
    dx: Array | None = None
    needs_input_grad: bool = False
    crew: WorkerProcesses | None = None
    by_threads: bool = False
    """Whether a worker process was lost, so that threads replay from then on."""
    start: State | None = None
    trails: list[Trail] = field(default_factory=list)
    recorded_x: bytes = b""
    recorded_dy: bytes = b""
    proven: set[bool] = field(default_factory=set)
    """Whether a replay was compared with a plain pass: True on other numbers than the recorded ones, False on those."""

    def is_proven(self, x: Array) -> bool:
        """Return whether a replay on ``x`` need not be compared with a plain pass any more."""
        return True in self.proven or (False in self.proven and digest(x) == self.recorded_x)

    def check_gradient(self, dy: Array, needs_input_grad: bool) -> None:
        """Refuse a gradient that is not like the recorded one, and a wish for dx that was not recorded."""
        if needs_input_grad and not self.needs_input_grad:
            raise ValueError("replay: this shape was recorded without dx; ask for dx from the first call on")
        assert self.dy is not None  # set with the program
        if (dy.shape, dy.dtype) != (self.dy.shape, self.dy.dtype):
            raise ValueError(
                f"replay: the gradient {dy.shape} {dy.dtype} must be like the recorded one, {self.dy.shape} "
                f"{self.dy.dtype}"
            )

    def prepare(self) -> None:
        """Fork the processes now: those that are forked later would hold on to what is in memory then."""
        programs = [program for program in (self.forward, self.backward) if program is not None]
        if any(len(stage) > 1 for program in programs for stage in program.stages):
            with one_blas_thread():
                self._ready_crew()

    def run(self, program: Program) -> None:
        """Replay a program on all cores."""
        with one_blas_thread():
            crew = self._ready_crew() if any(len(stage) > 1 for stage in program.stages) else None
            if crew is None:
                replay_on_threads(program)
            else:
                crew.run(0 if program is self.forward else 1)

    def _ready_crew(self) -> WorkerProcesses | None:
        """Return the processes of both programs, forking them if need be; None where threads must do."""
        if self.crew is not None and self.crew.lost():
            self.crew.close()
            self.by_threads = True
            warnings.warn("a worker process has died; threads go on with its work", RuntimeWarning, stacklevel=2)
        if self.by_threads:
            return None
        if can_fork() and (self.crew is None or not self.crew.ready):
            try:
                self.crew = WorkerProcesses(
                    *(program for program in (self.forward, self.backward) if program is not None)
                )
            except OSError:  # the system grants no more processes
                return None
        return self.crew if can_fork() else None


class CapturedNetwork:
    """A network whose passes are recorded and replayed.

    Parameters
    ----------
    network : Network
        Layers of your own run as always, and so does the whole network then, unless their class says ``capturable``.
        Then the first replay on new numbers is compared with a plain pass, which takes the time and, until the backward
        pass is over, the memory of one plain pass more. Where they differ, a warning names the layer, and the network
        runs without recordings from then on.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._tapes: OrderedDict[Any, Capture | None] = OrderedDict()
        self._last: Capture | None = None
        self._first = Arena()
        """Of calls that are not recorded. It is no larger than a recording's, and gone when one begins."""
        self._process = os.getpid()
        self._own = self._gave_up = self._changed = False
        self._trial: Trial | None = None
        self._parameters: Fingerprint | None = None
        """Of the parameters of a forward pass whose backward pass will be a recording's."""

    def forward(self, x: Array, keep: bool | None = None) -> Array:
        """Return what :meth:`Network.forward` returns."""
        keep = self.network.training if keep is None else keep
        self._last = self._trial = self._parameters = None
        if self._process != os.getpid():  # a fork of the process that recorded would write to its memory
            self.forget()
            self._process = os.getpid()
        key = self._key(x, keep) if self._recordable(x) else None
        if key is None:
            return self.network.forward(x, keep)
        if key not in self._tapes:
            self._remember(key, None)
            with allocate_from(self._first):
                y = self.network.forward(x, keep)
            if self._own:
                changed = self._settings() != key[-1]
                if changed and self._changed:  # once may have been a preparation
                    self._same_settings(key[-1])
                self._changed = changed
            return _copy(y)
        tape = self._tapes[key]
        self._tapes.move_to_end(key)
        if keep:
            self._parameters = Fingerprint(self.network.flat().values, self.network.flat().begins)
        if tape is None and not learns_in_place(self.network):
            return self.network.forward(x, keep)
        if tape is None:
            tape = Capture(shared_copy(x))
            self._remember(key, tape)
        np.copyto(tape.x, x)
        # What layers keep for the first backward may have been kept in another pass since: record both in one go.
        if tape.forward is None or (keep and tape.backward is None):
            return self._record_forward(tape, key, keep)
        if self._own and not tape.is_proven(x):
            return self._try_forward(tape, keep)
        tape.run(tape.forward)
        self._last = tape if keep else None
        assert tape.y is not None  # set with the program
        return _copy(tape.y)

    def backward(self, dy: Array, needs_input_grad: bool = False, add: bool = True) -> Array | None:
        """Return what :meth:`Network.backward` returns; the gradients are added to, or replaced, as there.

        Raises
        ------
        ValueError
            When dx is wanted of a shape whose recording did not have it.
        """
        tape = self._last
        if tape is None:
            with allocate_from(self._first) if self._recordable(dy) else nullcontext():
                dx = self.network.backward(dy, needs_input_grad, add)
            return None if dx is None else _copy(dx) if isinstance(dx, np.ndarray) else dx
        if tape.backward is not None:
            tape.check_gradient(dy, needs_input_grad)
        if self._parameters is not None:
            check_parameters(self._parameters)
        grads = self.network.flat().grads
        before = grads.copy() if add else None  # what is recorded replaces them
        if tape.backward is None:
            dx = self._record_backward(tape, dy, needs_input_grad, before)
        else:
            assert tape.dy is not None  # set with the program
            np.copyto(tape.dy, dy)
            if self._trial is not None:
                dx = self._try_backward(self._trial, needs_input_grad)
            else:
                tape.run(tape.backward)
                dx = tape.dx
        if before is not None:
            for part in self.network.flat().trainable_slices():  # those of frozen parameters were not replaced
                grads[part] += before[part]
        self._last = self._trial = None  # what the layers kept is used up
        return None if dx is None or not needs_input_grad else _copy(dx)

    # Recording ----------------------------------------------------------------------------------------------------

    def _record_forward(self, tape: Capture, key: Any, keep: bool) -> Array:
        """Run the network while a recorder writes its calls down."""
        program = Program()
        self._first = Arena()  # a recording has memory of its own
        default_pool().free_idle()
        tape.start = State(self.network) if self._own else None
        tape.trails = [Trail(program)]
        try:
            with tape.recorder.writing(program), self._watched(tape.trails[0]), traced_memory(self.network):
                tape.y = self.network.forward(traced(tape.x), keep)
        except Exception as error:  # recorded arrays may make a layer of one's own fail
            if tape.start is None:
                raise
            tape.start.restore()
            y = self.network.forward(tape.x, keep)  # raises if the recorder is not the reason
            self._give_up(*reason_of(error))
            return y
        tape.forward, tape.recorded_x, tape.proven = program, digest(tape.x) if self._own else b"", set()
        assert tape.y is not None  # just set
        if not self._own or self._same_settings(key[-1]):
            self._last = tape if keep else None
        return _copy(tape.y)

    def _record_backward(self, tape: Capture, dy: Array, needs_input_grad: bool, before: Array | None) -> Array | None:
        """Run the network backward while a recorder writes its calls down."""
        tape.dy, tape.needs_input_grad = shared_copy(dy), needs_input_grad
        program, start = Program(), tape.start
        tape.trails.append(Trail(program))
        try:
            with tape.recorder.writing(program), self._watched(tape.trails[1]), traced_memory(self.network):
                tape.dx = self.network.backward(traced(tape.dy), needs_input_grad, add=False)
        except Exception as error:
            if start is None:
                raise
            now = State(self.network)
            start.restore()
            self.network.forward(tape.x, keep=True)  # what was kept is partly used up
            now.restore_numbers()
            dx = self.network.backward(dy, needs_input_grad, add=False)
            self._give_up(*reason_of(error))
            return dx
        tape.backward, tape.recorded_dy, tape.start = program, digest(dy) if self._own else b"", None
        return tape.dx

    def _try_forward(self, tape: Capture, keep: bool) -> Array:
        """Replay a forward pass beside a plain one; keep to plain passes where they differ."""
        trial = try_forward(self.network, tape, keep)
        if trial.odd is not None:
            self._give_up(trial.odd, FROZEN)
        elif keep:
            self._trial, self._last = trial, tape
        return _copy(trial.y)

    def _try_backward(self, trial: Trial, needs_input_grad: bool) -> Array | None:
        """Replay a backward pass beside a plain one; keep to plain passes where they differ."""
        dx = trial.backward(needs_input_grad)
        if trial.odd is not None:
            self._give_up(trial.odd, FROZEN)
        return dx

    @contextmanager
    def _watched(self, trail: Trail) -> Iterator[None]:
        with watched_by(trail) if self._own else nullcontext():
            yield

    def _same_settings(self, before: Any) -> bool:
        """Return whether all settings are what they were; where a layer changed its own, give up."""
        after = self._settings()
        for step, old, new in zip(self.network.steps, before, after or (), strict=False):
            if old != new:
                names = ", ".join(repr(name) for name in changed_settings(old[1], new[1]))
                self._give_up(step.name, f"its forward pass changes {f'attribute {names}' if names else 'its memory'}")
        return not self._gave_up

    def _give_up(self, name: str, reason: str) -> None:
        """Make plain passes from now on, and say why."""
        own = [s for s in self.network.steps if (s.name == name if name else not is_builtin(s.layer))]
        names = " or ".join(f"step '{s.name}' ({type(s.layer).__name__})" for s in own)
        self._gave_up = True
        self.forget()
        warnings.warn(
            f"replay: {names} cannot be captured: {reason}. The network runs without recordings from now on; see what "
            "scratchnet.layers.Layer says about recordable",
            RuntimeWarning,
            stacklevel=4,
        )

    def forget(self) -> None:
        """Drop all recordings and their memory."""
        self._tapes.clear()
        self._last = self._trial = None
        self._first = Arena()

    def _remember(self, key: Any, tape: Capture | None) -> None:
        """Keep the last few recordings; memory is only held by those."""
        self._tapes.pop(key, None)
        self._tapes[key] = tape
        for old in list(self._tapes)[: -2 * KEPT]:
            del self._tapes[old]
        for old in [k for k, t in self._tapes.items() if t is not None][:-KEPT]:
            self._tapes[old] = None

    def _recordable(self, x: Array) -> bool:
        """Return whether every layer may be replayed: the package's own, and those whose class itself says so."""
        if self._gave_up or get_array_module(x) is not np or is_textbook() or x.size == 0:
            return False
        own = [step.layer for step in self.network.steps if not is_builtin(step.layer)]
        self._own = bool(own)
        if own and any(isinstance(norm, SyncBatchNorm2d) for norm in self.network.batch_norms().values()):
            return False  # processes would not all compare at the same call
        return all("capturable" in vars(type(a)) and a.capturable and not is_patched(a) for a in own)

    def _key(self, x: Array, keep: bool) -> Any:
        """Return all that a recording depends on, besides the numbers; None where that cannot be compared."""
        network = self.network
        settings = self._settings()
        memory = (
            network.flat().values.__array_interface__["data"][0],
            network.flat().grads.__array_interface__["data"][0],
        )
        modes = keep, network.training, network.activation_checkpointing, is_precise(), thread_count()
        return None if settings is None else (x.shape, x.dtype.str, *modes, memory, settings)

    def _settings(self) -> tuple[Any, ...] | None:
        """Return the settings of all steps; where they cannot be compared, give up and return None."""
        found: list[Any] = []
        for step in self.network.steps:
            try:
                found.append((step.inputs, settings_of(step.layer)))
            except NotComparable as error:
                self._give_up(step.name, str(error))
                return None
        return tuple(found)


def _copy(array: Array) -> Array:
    """Return the numbers in an array of their own: the recording will write over its own."""
    return contiguous_copy(array.view(np.ndarray))
