"""The process group that ``mpiexec`` starts: connecting the processes, and ending all of them after an error.

If one rank fails, the others would wait for its share of a sum for ever. So an error in one rank ends all: either every
rank raises the same error (a wrong setting, say) and the first one prints it, or the failing rank prints its error and
stops the others. A rank that is killed prints nothing; ``mpiexec`` notices and kills the others. A witness, a small
process started by the first rank, then prints how to resume.
"""

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO

from scratchnet.arrays import Array, on_gpu, to_device_of, to_host
from scratchnet.engine.cpu.threads import DEFAULT_MAX_THREADS
from scratchnet.training.distributed.process_group import ProcessGroup, SingleProcess
from scratchnet.utils.errors import UserError, explain
from scratchnet.utils.signals import Terminated

_LAUNCHERS = (("PMI_SIZE", "PMI_RANK"), ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"))
"""Variables in which MPICH and its relatives (Intel MPI, MS-MPI), and Open MPI, pass size and rank."""

_PATIENCE = 1.0  # seconds to wait after an error for the same error in the other ranks

_RESUME = "the same command with --resume continues after the last complete epoch"
_LOST = f"scratchnet: a process of the training was lost, and all others ended with it; {_RESUME}"
_WITNESS = "import sys; sys.stdin.read(1) or print(sys.argv[1], file=sys.stderr)"


class MPIRanks:
    """The group of processes that ``mpiexec`` has started.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm

    Attributes
    ----------
    neighbours : mpi4py.MPI.Comm
        The processes on the same machine.
    """

    def __init__(self, communicator: Any) -> None:
        from mpi4py import MPI

        self.communicator, self._in_place = communicator, MPI.IN_PLACE
        self.neighbours = communicator.Split_type(MPI.COMM_TYPE_SHARED)
        self.rank, self.size = int(communicator.Get_rank()), int(communicator.Get_size())
        self.local_rank = int(self.neighbours.Get_rank())
        self._failures = communicator.Dup()

    def allreduce(self, array: Array) -> None:
        """Replace an array by its sum over all ranks; an array on a GPU is copied through the host."""
        host = to_host(array)
        self.communicator.Allreduce(self._in_place, host)
        if on_gpu(array):
            array[...] = to_device_of(array, host)

    def barrier(self) -> None:
        """Return when all ranks have called this."""
        self.communicator.Barrier()

    def all_failed(self) -> bool:
        """Return whether all ranks call this within a second."""
        everyone = self._failures.Ibarrier()
        end = time.monotonic() + _PATIENCE
        while not (here := bool(everyone.Test())) and time.monotonic() < end:
            time.sleep(0.01)
        return here

    def stop_all(self, code: int) -> None:
        """End the processes of all ranks at once; does not return."""
        with suppress(OSError):  # MPI's own message does not help the user
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        self.communicator.Abort(code)


def launched(variables: Mapping[str, str]) -> tuple[int, int]:
    """Return (rank, number of processes) from the environment that ``mpiexec`` sets; (0, 1) without it.

    >>> launched({"PMI_SIZE": "4", "PMI_RANK": "2"})
    (2, 4)
    """
    for size, rank in _LAUNCHERS:
        if size in variables:
            return int(variables.get(rank, "0")), int(variables[size])
    return 0, 1


@contextmanager
def processes() -> Iterator[ProcessGroup]:
    """Yield the process group: the processes of ``mpiexec``, or the single process.

    Inside, ranks other than the first print nothing, and an error in any rank ends all.

    Raises
    ------
    UserError
        When mpi4py is missing, or belongs to another MPI than ``mpiexec``.
    """
    rank, size = launched(os.environ)
    if size == 1:
        yield SingleProcess()
        return
    try:
        ranks = _connect(size)
    except UserError:
        time.sleep(_PATIENCE * bool(rank))  # the first rank prints the error, and mpiexec ends the others
        raise
    _divide_cores(ranks)
    witness = _start_witness() if rank == 0 else None
    said = sys.stderr
    try:
        with _silence() if rank else nullcontext():
            yield ranks
    except BaseException as error:
        alike = ranks.all_failed()
        _dismiss(witness)
        if not alike:
            _tell(error, ranks, said)
            ranks.stop_all(_exit_code(error))
        if rank == 0:
            raise
        raise SystemExit(_exit_code(error)) from None
    _dismiss(witness)


def _connect(size: int) -> MPIRanks:
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"mpiexec started {size} processes, but mpi4py cannot be used ({error}); "
            'install it in scratchnet\'s clone (pip install -e ".[mpi]"), or start one process without mpiexec'
        ) from error
    if MPI.COMM_WORLD.Get_size() != size:
        raise UserError(
            f"mpiexec started {size} processes, but mpi4py sees {MPI.COMM_WORLD.Get_size()}: they belong to different "
            "MPIs; use the mpiexec that was installed with mpi4py's (beside python, in the same environment)"
        )
    return MPIRanks(MPI.COMM_WORLD)


def _divide_cores(ranks: MPIRanks) -> None:
    """Divide the cores of each machine between its ranks, unless the number of threads is set."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    sharing = ranks.neighbours.allgather(cores).count(cores)  # a rank that mpiexec has bound to cores has them alone
    os.environ.setdefault("SCRATCHNET_THREADS", str(max(1, min(DEFAULT_MAX_THREADS, len(cores) // sharing))))


@contextmanager
def _silence() -> Iterator[None]:
    """Print nothing inside this block."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    if isinstance(error, Terminated):
        return error.exit_code
    return 130 if isinstance(error, KeyboardInterrupt) else 2 if explain(error) else 1


def _tell(error: BaseException, ranks: MPIRanks, file: TextIO) -> None:
    """Print the error of this rank."""
    where, message = f"process {ranks.rank + 1} of {ranks.size}", explain(error)
    if isinstance(error, KeyboardInterrupt):
        what = f"{'stopped by SIGTERM' if isinstance(error, Terminated) else 'interrupted'} in {where}"
    elif message:
        what = f"error in {where}: {message}"
    else:
        traceback.print_exception(error, file=file)
        what = f"error in {where}"
    print(f"scratchnet: {what}; {_RESUME}", file=file, flush=True)


def _start_witness() -> "subprocess.Popen[bytes]":
    """Start a process that prints a message if this one ends without dismissing it."""
    command = [sys.executable, "-E", "-S", "-c", _WITNESS, _LOST]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def _dismiss(witness: "subprocess.Popen[bytes] | None") -> None:
    """End the witness without a message."""
    if witness is not None:
        witness.communicate(b"1")
