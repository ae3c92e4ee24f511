"""Processes that replay a program in parallel.

Python threads share one interpreter lock. A thread that has to wait for it goes to sleep, and waking takes 50 µs or
more, so threads only pay for calls that take much longer than that. Processes have no common lock. They are also simple
to use here: a captured program is a list of calls on memory that never moves, so a forked process can run its part of
the list unchanged, as long as that memory is *shared* instead of copied at the fork.

The process of the program is the leader. Before a stage with several call lists it lets the workers start, makes the
calls of the first list itself, and waits until all workers are done. Where processes cannot be forked (Windows, macOS),
threads replay the program.
"""

import ctypes
import mmap
import os
import signal
import sys
import threading
import time
import warnings
import weakref
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

from scratchnet.engine.capture import Call, Program, Stage
from scratchnet.engine.cpu.blas import one_blas_thread
from scratchnet.engine.forks import share_with_children
from scratchnet.engine.memory.pool import default_pool
from scratchnet.utils.errors import UserError

_SEMAPHORE_BYTES = 64  # sem_t has 32; a cache line each
_SPIN = 5e-4  # seconds of polling before going to sleep: waking takes up to as long
_CHECK_INTERVAL = 2.0  # seconds between checks whether the other processes are alive
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG; the parent is the *thread* that forked


class WorkerDied(UserError, RuntimeError):
    """A worker process ended during a pass, whose results are lost."""


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


@cache
def _library() -> ctypes.CDLL | None:
    """Return the C library if it has the functions needed here, else None."""
    if sys.platform != "linux" or not hasattr(os, "fork"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "sem_timedwait") else None


def can_fork() -> bool:
    """Return whether worker processes can be used on this system."""
    return _library() is not None


class WorkerProcesses:
    """Worker processes for one or more programs.

    Parameters
    ----------
    programs : Program
        Programs, which :meth:`run` selects by index. All memory that their calls write to must be shared between
        processes.
    """

    def __init__(self, *programs: Program) -> None:
        library = _library()
        if library is None:
            raise RuntimeError("processes cannot be forked on this system")
        self._library = library
        self._programs = [program.stages for program in programs]
        count = max(len(stage) for stages in self._programs for stage in stages)
        self._memory = mmap.mmap(-1, _SEMAPHORE_BYTES * (2 * count + 1))
        self._stop = ctypes.c_int.from_buffer(self._memory, _SEMAPHORE_BYTES * 2 * count)
        self._index = ctypes.c_int.from_buffer(self._memory, _SEMAPHORE_BYTES * 2 * count + 8)
        semaphores = [ctypes.c_char.from_buffer(self._memory, _SEMAPHORE_BYTES * i) for i in range(2 * count)]
        self._start, self._done = semaphores[:count], semaphores[count:]
        for semaphore in semaphores:
            library.sem_init(ctypes.byref(semaphore), 1, 0)
        self._spin = _SPIN if count <= len(os.sched_getaffinity(0)) else 0.0
        self._leader = os.getpid()
        self.pids: list[int] = []
        self._close = weakref.finalize(self, _shut_down, library, self._stop, self._start[1:], self.pids, self._leader)
        default_pool().free_idle()  # free memory goes back to the system, which would copy it for each child
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)
        with one_blas_thread():  # the setting that the children inherit
            self.pids.extend(self._fork(k) for k in range(1, count))

    @property
    def ready(self) -> bool:
        """Whether :meth:`run` may be called; False after an error."""
        return self._close.alive

    def has_died(self) -> bool:
        """Return whether a process has ended while waiting for work: it was killed or ran out of memory."""
        return self.ready and any(map(_is_dead, self.pids))

    def run(self, index: int = 0) -> None:
        """Make all calls of a program once.

        After an error (such as Ctrl-C) the processes are stopped, because each may be anywhere in the program.

        Raises
        ------
        WorkerDied
            If a process died during the program.
        """
        try:
            self._index.value = index
            self._run_stages(self._programs[index])
        except BaseException:
            self.close()
            raise

    def _run_stages(self, stages: list[Stage]) -> None:
        """Run the stages, making the calls of the first list of each in this process."""
        for stage in stages:
            workers = range(1, len(stage))
            for k in workers:
                self._post(self._start[k])
            try:
                for call in stage[0]:
                    call()
            finally:  # also after Ctrl-C: the workers are still writing
                for k in workers:
                    self._wait_until_done(k)

    def close(self) -> None:
        """Stop the processes."""
        self._close()

    def _fork(self, k: int) -> int:
        by_main_thread = threading.current_thread() is threading.main_thread()
        with warnings.catch_warnings():  # Python warns about locks of other threads; the child takes none
            warnings.simplefilter("ignore", DeprecationWarning)
            with share_with_children():
                pid = os.fork()
        if pid == 0:
            call_lists = [[stage[k] for stage in stages if len(stage) > k] for stages in self._programs]
            self._work(k, call_lists, by_main_thread)
        return pid

    def _work(self, k: int, programs: list[list[list[Call]]], by_main_thread: bool) -> None:
        """Run the worker loop of process k; never returns."""
        try:
            for number in (signal.SIGINT, signal.SIGTERM):  # the leader handles them
                signal.signal(number, signal.SIG_IGN)
            np.seterr(all="ignore")  # and reports warnings: its own chunk has the same infinities
            if by_main_thread:
                self._library.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            while True:
                self._wait_for_start(k)
                for i, calls in enumerate(programs[self._index.value]):
                    if i > 0:
                        self._wait_for_start(k)
                    for call in calls:
                        call()
                    self._post(self._done[k])
        finally:
            os._exit(1)

    def _wait_for_start(self, k: int) -> None:
        """Wait for the leader's signal; end the process if the leader stops it or has ended."""
        while not self._wait(self._start[k]):
            if os.getppid() != self._leader:
                os._exit(0)
        if self._stop.value:
            os._exit(0)

    def _post(self, semaphore: Any) -> None:
        self._library.sem_post(ctypes.byref(semaphore))

    def _wait(self, semaphore: Any) -> bool:
        """Wait for a semaphore, first polling, then asleep; return False after some seconds."""
        pointer = ctypes.byref(semaphore)
        end = time.perf_counter() + self._spin
        while time.perf_counter() < end:
            if self._library.sem_trywait(pointer) == 0:
                return True
        if hasattr(self._library, "sem_clockwait"):  # a clock that is not affected by setting the time
            until = time.monotonic() + _CHECK_INTERVAL
            limit = _Time(int(until), int(until % 1 * 1e9))
            return bool(self._library.sem_clockwait(pointer, time.CLOCK_MONOTONIC, ctypes.byref(limit)) == 0)
        until = time.time() + _CHECK_INTERVAL
        limit = _Time(int(until), int(until % 1 * 1e9))
        return bool(self._library.sem_timedwait(pointer, ctypes.byref(limit)) == 0)

    def _wait_until_done(self, k: int) -> None:
        """Wait until process k has made the calls of its list."""
        while not self._wait(self._done[k]):
            if _is_dead(self.pids[k - 1]):
                raise WorkerDied(
                    f"worker process {self.pids[k - 1]} died during a pass (killed, or out of memory?); "
                    "run again, with fewer --threads if memory is short"
                )


def _is_dead(pid: int) -> bool:
    """Return whether a child process has ended."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # already ended and reaped
        return True


def _shut_down(library: ctypes.CDLL, stop: Any, start: list[Any], pids: list[int], leader: int) -> None:
    """Stop the processes and wait for them; does nothing in a fork of the leader."""
    if os.getpid() != leader:
        return
    stop.value = 1
    for semaphore in start:
        library.sem_post(ctypes.byref(semaphore))
    for pid in pids:
        with suppress(ChildProcessError):  # already reaped
            os.waitpid(pid, 0)
