"""The captured passes of a network for one input shape, and the workers that replay them."""

import warnings
from dataclasses import dataclass, field
from functools import partial

from scratchnet.arrays import Array
from scratchnet.engine.capture import Program, Recorder
from scratchnet.engine.capture.capture_key import digest
from scratchnet.engine.capture.network_state import NetworkState
from scratchnet.engine.capture.replay_choice import ReplayChoice
from scratchnet.engine.capture.step_outputs import StepOutputs
from scratchnet.engine.capture.worker_processes import WorkerProcesses, can_fork
from scratchnet.engine.cpu.blas import one_blas_thread
from scratchnet.engine.cpu.threads import replay_on_threads


@dataclass
class Capture:
    """The programs of one forward and backward pass, with their input and output arrays.

    Attributes
    ----------
    x, y, dy, dx : Array
        Inputs and outputs of the programs: a replay reads ``x`` and ``dy`` and writes ``y`` and ``dx``. The backward
        program may reuse the memory of ``y``, and ``dy`` may be in it.
    forward, backward : Program or None
    needs_input_grad : bool
        Whether the backward program computes ``dx``.
    workers : WorkerProcesses or None
    use_threads : bool
        Whether a worker process has died, so that threads replay from then on.
    forward_choice, backward_choice : ReplayChoice
        Which way of replaying is fastest, which depends on the other programs of the machine.
    initial_state : NetworkState or None
        State before the captured forward pass, until the backward pass is captured.
    outputs : list of StepOutputs
        Outputs of custom layers in the forward and the backward pass.
    x_digest, dy_digest : bytes
        Digests of the captured inputs.
    verified : set of bool
        Whether a replay was compared with an eager pass: True for a new input, False for the captured one.
    """

    x: Array
    recorder: Recorder = field(default_factory=Recorder)
    forward: Program | None = None
    y: Array | None = None
    dy: Array | None = None
    backward: Program | None = None
    dx: Array | None = None
    needs_input_grad: bool = False
    workers: WorkerProcesses | None = None
    use_threads: bool = False
    forward_choice: ReplayChoice = field(default_factory=ReplayChoice)
    backward_choice: ReplayChoice = field(default_factory=ReplayChoice)
    initial_state: NetworkState | None = None
    outputs: list[StepOutputs] = field(default_factory=list)
    x_digest: bytes = b""
    dy_digest: bytes = b""
    verified: set[bool] = field(default_factory=set)

    def is_verified(self, x: Array) -> bool:
        """Return whether a replay on ``x`` no longer needs to be compared with an eager pass."""
        return True in self.verified or (False in self.verified and digest(x) == self.x_digest)

    def check_gradient(self, dy: Array, needs_input_grad: bool) -> None:
        """Raise a ValueError for a gradient unlike the captured one, or if dx is requested but was not captured."""
        if needs_input_grad and not self.needs_input_grad:
            raise ValueError(
                "captured network: this input shape was captured without dx; request dx from the first call on"
            )
        assert self.dy is not None  # set with the program
        if (dy.shape, dy.dtype) != (self.dy.shape, self.dy.dtype):
            raise ValueError(
                f"captured network: the gradient {dy.shape} {dy.dtype} must be like the captured one, {self.dy.shape} "
                f"{self.dy.dtype}"
            )

    def fork_workers(self) -> None:
        """Fork the worker processes now: processes forked later would keep the memory of that moment alive."""
        if any(program.is_parallel() for program in self._programs()):
            with one_blas_thread():
                self._ready_workers()

    def run(self, program: Program) -> None:
        """Replay a program on all cores."""
        with one_blas_thread():
            workers = self._ready_workers() if program.is_parallel() else None
            if workers is None:
                replay_on_threads(program)
            else:
                is_forward = program is self.forward
                choice = self.forward_choice if is_forward else self.backward_choice
                processes, threads = partial(workers.run, 0 if is_forward else 1), partial(replay_on_threads, program)
                choice.run([processes, threads, program.run])

    def _programs(self) -> list[Program]:
        return [program for program in (self.forward, self.backward) if program is not None]

    def _ready_workers(self) -> WorkerProcesses | None:
        """Return the worker processes of both programs, forking them if necessary; None if threads must replay."""
        if self.workers is not None and self.workers.has_died():
            self.workers.close()
            self.use_threads = True
            warnings.warn("a worker process has died; threads continue its work", RuntimeWarning, stacklevel=2)
        if self.use_threads:
            return None
        if can_fork() and (self.workers is None or not self.workers.ready):
            try:
                self.workers = WorkerProcesses(*self._programs())
            except OSError:  # the system grants no more processes
                return None
        return self.workers if can_fork() else None
