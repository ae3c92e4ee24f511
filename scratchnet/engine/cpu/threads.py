"""Distribute work over the cores with threads.

NumPy releases the global interpreter lock while it copies, adds or multiplies matrices, so Python threads can run these
operations on all cores. One persistent worker thread per additional core waits on a queue (starting a thread, or the
bookkeeping of a thread pool, costs more than a small layer), and the calling thread computes one chunk itself.

Each thread multiplies its own blocks, with the BLAS limited to one thread: BLAS threads split a small product
inefficiently and would compete with these threads for the cores. Outside of :func:`parallel_map` and
:func:`one_blas_thread` the BLAS settings are unchanged.

After a fork (``multiprocessing`` on Linux before Python 3.14) the child has none of these threads. It starts its own
threads when it first needs them.
"""

import os
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from functools import cache
from queue import SimpleQueue
from typing import Any, TypeVar

from scratchnet.engine.capture import Call, Program, active_recorder
from scratchnet.engine.cpu.blas import limit_this_thread, one_blas_thread
from scratchnet.engine.forks import after_fork_in_child
from scratchnet.engine.modes import is_textbook

T = TypeVar("T")
R = TypeVar("R")

DEFAULT_MAX_THREADS = 16
"""Maximum number of threads unless ``SCRATCHNET_THREADS`` is set; with more, most would wait for memory."""

MIN_SPLIT_OPERATIONS = 1_000_000
"""Work with fewer operations than this is not split. From here on, splitting pays in a captured program, which has no
Python overhead between its calls. Without capture the same chunks are computed one after the other up to
:data:`MIN_THREAD_OPERATIONS`, so that sums round in the same way."""

MIN_THREAD_OPERATIONS = 32_000_000
"""Work with at least this many operations runs on several threads: waking another thread takes up to half a
millisecond, in which one core does about this many multiply-adds."""

OPERATIONS_PER_ELEMENT = 16
"""Operations counted for one element of an element-wise pass, because such passes wait for memory."""

_busy = threading.Lock()

_IN_CHUNK = ContextVar("in_chunk", default=False)  # set inside a parallel_map; workers inherit the caller's context


def thread_count() -> int:
    """Return the number of threads: ``SCRATCHNET_THREADS``, or the number of cores that this process may use."""
    return 1 if is_textbook() else _cores()


@cache
def _cores() -> int:
    requested = os.environ.get("SCRATCHNET_THREADS", "")
    if requested.isascii() and requested.isdigit() and len(requested) <= 5 and int(requested) > 0:
        return int(requested)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, DEFAULT_MAX_THREADS)


def parallel_map(function: Callable[[Sequence[T]], R], items: Sequence[T], operations: int) -> list[R]:
    """Call ``function`` with one chunk of the items on every core and return the results in the order of the chunks.

    Chunks are contiguous. Items are in the order of images and rows, so each core continues with data that it computed
    itself and that is in its cache. The division depends only on the number of threads, so that sums over chunks are
    the same in every run. Nested calls run in the calling thread.

    Parameters
    ----------
    function : (sequence of items) -> result
    items : sequence
    operations : int
        Multiply-adds of the whole work, or :data:`OPERATIONS_PER_ELEMENT` times the number of elements it accesses.
        Work below :data:`MIN_SPLIT_OPERATIONS` is one chunk; below :data:`MIN_THREAD_OPERATIONS` the caller computes
        all chunks one after the other.
    """
    if _IN_CHUNK.get():
        return [function(items)]
    count = min(thread_count(), len(items)) if operations >= MIN_SPLIT_OPERATIONS else 1
    if count <= 1:
        with one_blas_thread():  # otherwise the last bits would depend on what the user's other threads do meanwhile
            return [function(items)]
    chunks = split_evenly(items, count)
    token = _IN_CHUNK.set(True)
    try:
        if (recorder := active_recorder()) is not None:
            return recorder.record_parallel(function, chunks)
        with one_blas_thread():
            busy = _busy
            if operations < MIN_THREAD_OPERATIONS or not busy.acquire(blocking=False):  # another caller has the workers
                return [function(chunk) for chunk in chunks]
            try:
                return _run(chunks, function)
            finally:
                busy.release()
    finally:
        _IN_CHUNK.reset(token)


def split_evenly(items: Sequence[T], count: int) -> list[Sequence[T]]:
    """Split items into ``count`` contiguous chunks of about the same length."""
    return [items[k * len(items) // count : (k + 1) * len(items) // count] for k in range(count)]


def parallel_for(function: Callable[[T], None], items: Sequence[T], operations: int) -> None:
    """Call ``function`` with every item, distributed over the cores.

    The arrays allocated for one item are freed before the next item, which then reuses the same memory in the cache.
    """

    def run_all(chunk: Sequence[T]) -> None:
        for item in chunk:
            function(item)

    parallel_map(run_all, items, operations)


def replay_on_threads(program: Program) -> None:
    """Make the calls of a captured program; the call lists of a stage run in parallel on threads."""

    def run_calls(lists: Sequence[list[Call]]) -> None:
        for call in (c for calls in lists for c in calls):
            call()

    busy = _busy
    acquired = busy.acquire(blocking=False)
    try:
        for stage in program.stages:
            if not acquired or len(stage) == 1:
                run_calls(stage)
            else:
                _run([[calls] for calls in stage], run_calls)
    finally:
        if acquired:
            busy.release()


def _run(chunks: list[Sequence[T]], function: Callable[[Sequence[T]], R]) -> list[R]:
    """Send all chunks but the first to the workers, compute the first one here, and wait for the others.

    If the system grants fewer threads, the caller computes the remaining chunks.
    """
    queues = _workers(len(chunks) - 1)
    done: SimpleQueue[tuple[int, R | None, BaseException | None]] = SimpleQueue()
    for k, queue in enumerate(queues, 1):
        queue.put((copy_context(), function, chunks[k], k, done))  # NumPy's errstate is stored in the context
    results: dict[int, R] = {}
    errors: list[BaseException] = []
    try:
        for k in (0, *range(len(queues) + 1, len(chunks))):
            results[k] = function(chunks[k])
    finally:  # also after Ctrl-C: the workers write into arrays that must stay alive until they have finished
        for _ in queues:
            k, result, error = done.get()
            if error is not None:
                errors.append(error)
            else:
                results[k] = result  # type: ignore[assignment]
    if errors:
        raise errors[0]
    return [results[k] for k in range(len(chunks))]


_queues: list[SimpleQueue[Any]] = []


def _workers(count: int) -> list[SimpleQueue[Any]]:
    """Return the queues of ``count`` workers, starting missing ones; fewer if the system allows no more."""
    while len(_queues) < count:
        queue: SimpleQueue[Any] = SimpleQueue()
        try:
            threading.Thread(target=_work, args=(queue,), daemon=True, name=f"scratchnet-{len(_queues) + 1}").start()
        except RuntimeError:  # a limit on processes or memory
            break
        _queues.append(queue)
    return _queues[:count]


def _work(queue: "SimpleQueue[Any]") -> None:
    """Process the tasks of one queue forever."""
    limit_this_thread()
    while True:
        context, function, chunk, k, done = queue.get()
        try:
            done.put((k, context.run(function, chunk), None))
        except BaseException as error:  # raised again in the caller
            done.put((k, None, error))
        del context, function, chunk, done


@after_fork_in_child
def _reset_after_fork() -> None:
    """Forget the parent's workers, and locks that its other threads held."""
    global _busy  # noqa: PLW0603
    _busy = threading.Lock()
    _queues.clear()
