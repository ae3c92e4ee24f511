"""Limit the BLAS to one thread while this library's own threads share the work.

    with one_blas_thread():
        numpy.matmul(a, b, out=c)      # in this thread only

An OpenBLAS with POSIX threads (as in NumPy's wheels) has one thread count for the whole process, so the limits that all
threads request are counted together. An OpenBLAS with OpenMP threads has a thread count for every calling thread.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from threadpoolctl import ThreadpoolController

from scratchnet.engine.forks import after_fork_in_child


class _Library(NamedTuple):
    get: Callable[[], int]
    limit: Callable[[int], Any]


@cache
def _libraries(per_thread: bool) -> tuple[_Library, ...]:
    """Return the libraries with a thread count for each calling thread, or those with one for the whole process."""
    controllers = ThreadpoolController().select(user_api="blas").lib_controllers
    chosen = [c for c in controllers if (getattr(c, "threading_layer", "") == "openmp") == per_thread]
    return tuple(_Library(controller.get_num_threads, _setter(controller)) for controller in chosen)


def _setter(controller: Any) -> Callable[[int], Any]:
    """Return the function that sets a library's thread count.

    threadpoolctl lets only one Python thread control an OpenBLAS with POSIX threads, even if only other threads
    compute. Any thread may request the limit below, so the library's own function is used.
    """
    if controller.internal_api == "openblas" and controller.threading_layer != "openmp":
        for prefix, suffix in product(("", "scipy_"), ("", "64_", "_64")):
            function = getattr(controller.dynlib, f"{prefix}openblas_set_num_threads{suffix}", None)
            if function is not None:
                setter: Callable[[int], Any] = function
                return setter
    setter = controller.set_num_threads
    return setter


class _SingleThreadLimit:
    """Limit the BLAS to one thread while at least one thread of the process requests it.

    The first to enter saves the number of BLAS threads and the last to leave restores it, regardless of the order in
    between.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = 0
        self._saved: list[int] = []
        self._thread = threading.local()

    def __enter__(self) -> None:
        with self._lock:
            if self._requests == 0:
                self._saved = _limit(per_thread=False)
            self._requests += 1
        depth = getattr(self._thread, "depth", 0)
        if depth == 0:
            self._thread.saved = _limit(per_thread=True)
        self._thread.depth = depth + 1

    def __exit__(self, *_: object) -> None:
        self._thread.depth -= 1
        if self._thread.depth == 0:
            _restore(self._thread.saved, per_thread=True)
        with self._lock:
            self._requests -= 1
            if self._requests == 0:
                _restore(self._saved, per_thread=False)

    def reset_after_fork(self) -> None:
        """Drop the requests of the parent's other threads, which a forked child does not have."""
        self._lock = threading.Lock()
        if self._requests:
            self._requests = getattr(self._thread, "depth", 0)
            if self._requests == 0:
                _restore(self._saved, per_thread=False)


def _limit(per_thread: bool) -> list[int]:
    saved = [library.get() for library in _libraries(per_thread)]
    for library in _libraries(per_thread):
        library.limit(1)
    return saved


def _restore(saved: list[int], per_thread: bool) -> None:
    for library, count in zip(_libraries(per_thread), saved, strict=True):
        library.limit(count)


_LIMIT = _SingleThreadLimit()
after_fork_in_child(_LIMIT.reset_after_fork)


def one_blas_thread() -> AbstractContextManager[None]:
    """Return a context manager that limits the BLAS to one thread.

    BLAS threads would compete with this library's threads for the cores, and the last bits of a product depend on the
    number of threads that compute it.
    """
    return _LIMIT


def limit_this_thread() -> None:
    """Permanently limit a BLAS that has a thread count for each calling thread to one in the calling thread."""
    _limit(per_thread=True)
