"""Limit the BLAS to one thread while this library's own threads share the work.

    with one_blas_thread():
        numpy.matmul(a, b, out=c)      # by this thread alone

An OpenBLAS with POSIX threads (that of NumPy's wheels) has one number of threads for the whole process, so the holds of
all threads are counted together. One with OpenMP threads has a number for every thread that calls it.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from threadpoolctl import ThreadpoolController

from scratchnet.engine.cpu.forks import in_every_child


class _Library(NamedTuple):
    get: Callable[[], int]
    limit: Callable[[int], Any]


@cache
def _libraries(per_thread: bool) -> tuple[_Library, ...]:
    """Return the libraries that have a number of threads for every caller, or those that have one for the process."""
    controllers = ThreadpoolController().select(user_api="blas").lib_controllers
    chosen = [c for c in controllers if (getattr(c, "threading_layer", "") == "openmp") == per_thread]
    return tuple(_Library(controller.get_num_threads, _setter(controller)) for controller in chosen)


def _setter(controller: Any) -> Callable[[int], Any]:
    """Return the function that sets a library's number of threads.

    threadpoolctl lets one Python thread control an OpenBLAS with POSIX threads and ignores the others, even when they
    are the only ones that compute. The holds below belong to all threads, so they call the library itself.
    """
    if controller.internal_api == "openblas" and controller.threading_layer != "openmp":
        for prefix, suffix in product(("", "scipy_"), ("", "64_", "_64")):
            function = getattr(controller.dynlib, f"{prefix}openblas_set_num_threads{suffix}", None)
            if function is not None:
                setter: Callable[[int], Any] = function
                return setter
    setter = controller.set_num_threads
    return setter


class _Hold:
    """Limit the BLAS to one thread while at least one thread of the process requests it.

    The first to enter saves the number of BLAS threads and the last to leave restores it, regardless of the order in
    between.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._saved: list[int] = []
        self._own = threading.local()

    def __enter__(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._saved = _limit(per_thread=False)
            self._holders += 1
        depth = getattr(self._own, "depth", 0)
        if depth == 0:
            self._own.saved = _limit(per_thread=True)
        self._own.depth = depth + 1

    def __exit__(self, *_: object) -> None:
        self._own.depth -= 1
        if self._own.depth == 0:
            _restore(self._own.saved, per_thread=True)
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                _restore(self._saved, per_thread=False)

    def start_again(self) -> None:
        """Forget the holds of the parent's other threads, in a forked child that does not have these threads."""
        self._lock = threading.Lock()
        if self._holders:
            self._holders = getattr(self._own, "depth", 0)
            if self._holders == 0:
                _restore(self._saved, per_thread=False)


def _limit(per_thread: bool) -> list[int]:
    saved = [library.get() for library in _libraries(per_thread)]
    for library in _libraries(per_thread):
        library.limit(1)
    return saved


def _restore(saved: list[int], per_thread: bool) -> None:
    for library, count in zip(_libraries(per_thread), saved, strict=True):
        library.limit(count)


_HOLD = _Hold()
in_every_child(_HOLD.start_again)


def one_blas_thread() -> AbstractContextManager[None]:
    """Return a context manager that limits the BLAS to one thread.

    BLAS threads would compete with this library's threads for the cores, and the last bits of a product depend on the
    number of threads that compute it.
    """
    return _HOLD


def hold_this_thread() -> None:
    """Let a BLAS that counts its threads for each caller use one in the calling thread, for good."""
    _limit(per_thread=True)
