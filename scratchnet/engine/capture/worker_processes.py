"""Processes that replay a program side by side.

Python's threads take turns at one lock. A thread that finds it taken goes to sleep, and waking costs 50 µs and more, so
threads pay only for calls that are much longer than that. Processes have no lock in common. They are also simple to
have here: a recorded program is a list of calls on memory that never moves, so a forked process can go through its part
of the list as it stands, as long as that memory is *shared* and not copied at the fork.

The program's own process leads. Before a section with several lists it lets the others go on, makes the calls of the
first list itself, and waits until all are done. Where processes cannot be forked (Windows, macOS), threads replay.
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
from scratchnet.engine.cpu.forks import sharing
from scratchnet.utils.errors import UserError

_SEMAPHORE_BYTES = 64  # sem_t has 32; a cache line each
_SPIN = 5e-4  # seconds of looking before going to sleep: waking takes up to as long
_PATIENCE = 2.0  # seconds after which the leader looks whether the others still live
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG; the parent is the *thread* that forked


class WorkerDied(UserError, RuntimeError):
    """A worker process ended in the middle of a pass, whose results are lost."""


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


@cache
def _library() -> ctypes.CDLL | None:
    """Return the C library if it has all that is needed."""
    if sys.platform != "linux" or not hasattr(os, "fork"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "sem_timedwait") else None


def can_fork() -> bool:
    """Return whether a crew can be had on this system."""
    return _library() is not None


class WorkerProcesses:
    """The processes of one program.

    Parameters
    ----------
    programs : Program
        One or more, each a number for :meth:`run`. All memory that their calls write to must be shared between
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
        self._number = ctypes.c_int.from_buffer(self._memory, _SEMAPHORE_BYTES * 2 * count + 8)
        places = [ctypes.c_char.from_buffer(self._memory, _SEMAPHORE_BYTES * i) for i in range(2 * count)]
        self._go, self._done = places[:count], places[count:]
        for place in places:
            library.sem_init(ctypes.byref(place), 1, 0)
        self._spin = _SPIN if count <= len(os.sched_getaffinity(0)) else 0.0
        self._leader = os.getpid()
        self.pids: list[int] = []
        self._close = weakref.finalize(self, _dismiss, library, self._stop, self._go[1:], self.pids, self._leader)
        if hasattr(library, "malloc_trim"):  # free memory goes back to the system, which would copy it for each child
            library.malloc_trim(0)
        with one_blas_thread():  # as the children will find it
            self.pids.extend(self._fork(k) for k in range(1, count))

    @property
    def ready(self) -> bool:
        """Whether :meth:`run` may be called: not after an error."""
        return self._close.alive

    def lost(self) -> bool:
        """Return whether a process has ended while it waited for work: killed, or by lack of memory."""
        return self.ready and any(map(_is_dead, self.pids))

    def run(self, number: int = 0) -> None:
        """Make all calls of a program once.

        After an error (Ctrl-C, say) the processes stand somewhere in the middle of the program, so they are sent home.

        Raises
        ------
        WorkerDied
            When a process has died in the middle of the program.
        """
        try:
            self._number.value = number
            self._lead(self._programs[number])
        except BaseException:
            self.close()
            raise

    def _lead(self, stages: list[Stage]) -> None:
        """Go through the sections, one's own lists among them."""
        for stage in stages:
            others = range(1, len(stage))
            for k in others:
                self._post(self._go[k])
            try:
                for call in stage[0]:
                    call()
            finally:  # also after Ctrl-C: the others are still writing
                for k in others:
                    self._wait_for(k)

    def close(self) -> None:
        """Send the processes home."""
        self._close()

    def _fork(self, k: int) -> int:
        by_main_thread = threading.current_thread() is threading.main_thread()
        with warnings.catch_warnings():  # Python warns of locks that other threads hold; the child takes none
            warnings.simplefilter("ignore", DeprecationWarning)
            with sharing():
                pid = os.fork()
        if pid == 0:
            mine = [[stage[k] for stage in stages if len(stage) > k] for stages in self._programs]
            self._follow(k, mine, by_main_thread)
        return pid

    def _follow(self, k: int, programs: list[list[list[Call]]], by_main_thread: bool) -> None:
        """Live as the process number k: never returns."""
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the leader's business
            np.seterr(all="ignore")  # and so are warnings: its own share meets the same infinities
            if by_main_thread:
                self._library.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            while True:
                self._wait_to_go(k)
                for i, calls in enumerate(programs[self._number.value]):
                    if i > 0:
                        self._wait_to_go(k)
                    for call in calls:
                        call()
                    self._post(self._done[k])
        finally:
            os._exit(1)

    def _wait_to_go(self, k: int) -> None:
        """Wait until the leader says so; end where it stops, or is no more."""
        while not self._wait(self._go[k]):
            if os.getppid() != self._leader:
                os._exit(0)
        if self._stop.value:
            os._exit(0)

    def _post(self, semaphore: Any) -> None:
        self._library.sem_post(ctypes.byref(semaphore))

    def _wait(self, semaphore: Any) -> bool:
        """Wait for a semaphore, first looking at it again and again, then asleep; False after some seconds."""
        place = ctypes.byref(semaphore)
        end = time.perf_counter() + self._spin
        while time.perf_counter() < end:
            if self._library.sem_trywait(place) == 0:
                return True
        if hasattr(self._library, "sem_clockwait"):  # a clock that is set back or forth must not matter
            until = time.monotonic() + _PATIENCE
            limit = _Time(int(until), int(until % 1 * 1e9))
            return bool(self._library.sem_clockwait(place, time.CLOCK_MONOTONIC, ctypes.byref(limit)) == 0)
        until = time.time() + _PATIENCE
        limit = _Time(int(until), int(until % 1 * 1e9))
        return bool(self._library.sem_timedwait(place, ctypes.byref(limit)) == 0)

    def _wait_for(self, k: int) -> None:
        """Wait until the process number k is done with its list."""
        while not self._wait(self._done[k]):
            if _is_dead(self.pids[k - 1]):
                raise WorkerDied(
                    f"worker process {self.pids[k - 1]} has died in the middle of a pass (killed, or out of memory?); "
                    "run again, with fewer --threads if memory is short"
                )


def _is_dead(pid: int) -> bool:
    """Return whether a child process has ended."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # ended, and somebody else took note of it
        return True


def _dismiss(library: ctypes.CDLL, stop: Any, go: list[Any], pids: list[int], leader: int) -> None:
    """Stop the processes and wait for them; a fork of the leader leaves them to it."""
    if os.getpid() != leader:
        return
    stop.value = 1
    for semaphore in go:
        library.sem_post(ctypes.byref(semaphore))
    for pid in pids:
        with suppress(ChildProcessError):  # gone already
            os.waitpid(pid, 0)
