"""Distribute heavy work over the cores.

NumPy releases the global interpreter lock while it copies, adds or multiplies matrices, so Python threads can run these
operations on all cores. One persistent worker per additional core waits on a queue (starting a thread, or a thread
pool's bookkeeping, costs more than a small layer), and the caller computes a share itself.

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

from scratchnet.engine.capture import Program, recorder
from scratchnet.engine.cpu.blas import hold_this_thread, one_blas_thread
from scratchnet.engine.cpu.forks import in_every_child
from scratchnet.engine.modes import is_textbook, is_whole

T = TypeVar("T")
R = TypeVar("R")

_busy = threading.Lock()

_IN_SHARE = ContextVar("in_share", default=False)  # of a share_out; workers take it over with the caller's context


def thread_count() -> int:
    """Return the number of threads: ``SCRATCHNET_THREADS``, or the cores that this process may use."""
    return 1 if is_textbook() or is_whole() else _cores()


@cache
def _cores() -> int:
    wanted = os.environ.get("SCRATCHNET_THREADS", "")
    if wanted.isascii() and wanted.isdigit() and len(wanted) <= 5 and int(wanted) > 0:
        return int(wanted)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST)


MOST = 16
"""Cores that are used unasked; with more, most would wait for the memory."""

ENOUGH = 32_000_000
"""Operations from which on sharing pays: waking another thread takes up to half a millisecond, in which one core does
about that many multiply-adds."""

WORTH = 4_000_000
"""Operations from which on sharing pays in a replay, which has no Python in between. Below ENOUGH the shares are the
same without a replay, but done one after the other, so that sums come out alike."""

PER_ELEMENT = 16
"""Operations that one number of an element-wise pass counts for; such passes wait for the memory."""


def parallel_map(function: Callable[[Sequence[T]], R], items: Sequence[T], operations: int) -> list[R]:
    """Call ``function`` with a share of the items on every core and return the results in the order of the shares.

    Shares are contiguous. Items are in the order of images and rows, so each core continues with data that it computed
    itself and that is in its cache. The division depends only on the number of threads, so that sums over shares are
    the same in every run. Calls from inside a share run in the calling thread.

    Parameters
    ----------
    function : (sequence of items) -> result
    items : sequence
    operations : int
        Multiply-adds of the whole work, or :data:`PER_ELEMENT` times the numbers it touches. Less than :data:`WORTH` is
        one share; less than :data:`ENOUGH` is done share by share in the caller.
    """
    if _IN_SHARE.get():
        return [function(items)]
    count = min(thread_count(), len(items)) if operations >= WORTH else 1
    if count <= 1:
        with one_blas_thread():  # or the last bits would depend on what other threads of the user's do meanwhile
            return [function(items)]
    shares = stretches(items, count)
    token = _IN_SHARE.set(True)
    try:
        if (at_work := recorder()) is not None:
            return at_work.shares(function, shares)
        with one_blas_thread():
            busy = _busy
            if operations < ENOUGH or not busy.acquire(blocking=False):  # another thread of the user's has the workers
                return [function(share) for share in shares]
            try:
                return _run(shares, function)
            finally:
                busy.release()
    finally:
        _IN_SHARE.reset(token)


def stretches(items: Sequence[T], count: int) -> list[Sequence[T]]:
    """Cut items into ``count`` contiguous stretches of about the same length."""
    return [items[k * len(items) // count : (k + 1) * len(items) // count] for k in range(count)]


def parallel_for(function: Callable[[T], None], items: Sequence[T], operations: int) -> None:
    """Call ``function`` with every item, distributed over the cores.

    The arrays allocated for one item are freed before the next item, which then reuses the same memory in the cache.
    """

    def go_through(share: Sequence[T]) -> None:
        for item in share:
            function(item)

    parallel_map(go_through, items, operations)


def _run(shares: list[Sequence[T]], function: Callable[[Sequence[T]], R]) -> list[R]:
    """Send all shares but the first to the workers, compute the first here, and wait for the others.

    If the system grants fewer threads, the caller computes the remaining shares.
    """
    queues = _workers(len(shares) - 1)
    done: SimpleQueue[tuple[int, R | None, BaseException | None]] = SimpleQueue()
    for k, queue in enumerate(queues, 1):
        queue.put((copy_context(), function, shares[k], k, done))  # NumPy's errstate lives in the context
    results: dict[int, R] = {}
    errors: list[BaseException] = []
    try:
        for k in (0, *range(len(queues) + 1, len(shares))):
            results[k] = function(shares[k])
    finally:  # also after Ctrl-C: the workers write into arrays that must not be let go of before they are done
        for _ in queues:
            k, result, error = done.get()
            if error is not None:
                errors.append(error)
            else:
                results[k] = result  # type: ignore[assignment]
    if errors:
        raise errors[0]
    return [results[k] for k in range(len(shares))]


def replay(program: Program) -> None:
    """Make the calls of a recorded program; the lists of a section run in parallel on threads."""

    def make(share: Sequence[list[Callable[[], Any]]]) -> None:
        for call in (c for calls in share for c in calls):
            call()

    busy = _busy
    alone = not busy.acquire(blocking=False)
    try:
        for section in program.sections:
            if alone or len(section) == 1:
                make(section)
            else:
                _run([[calls] for calls in section], make)
    finally:
        if not alone:
            busy.release()


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
    hold_this_thread()
    while True:
        context, function, share, k, done = queue.get()
        try:
            done.put((k, context.run(function, share), None))
        except BaseException as error:  # raised again in the caller
            done.put((k, None, error))
        del context, function, share, done


@in_every_child
def _start_again() -> None:
    """Forget the parent's workers, and locks that its other threads held."""
    global _busy  # noqa: PLW0603
    _busy = threading.Lock()
    _queues.clear()


PIECE_BYTES = 1 << 19
"""Element-wise work is done in pieces of about this size, small enough to stay in a core's cache between two passes."""


def row_pieces(x: Any) -> list[slice]:
    """Cut the ``n·h`` rows of a map (n, h, w, c) into pieces of :data:`PIECE_BYTES`, whatever the number of threads."""
    n, h, w, c = x.shape
    step = max(1, n * h) if is_whole() else max(1, PIECE_BYTES // max(1, w * c * x.dtype.itemsize))
    return [slice(begin, min(begin + step, n * h)) for begin in range(0, n * h, step)]


def parallel_rows(function: Callable[..., None], *maps: Any) -> None:
    """Call ``function`` on matching pieces of maps, on all cores.

    Parameters
    ----------
    function : ``(*pieces)``
        Each piece is a matrix (rows, w·c): some rows of pixels, side by side.
    maps : arrays (n, h, w, c) of one shape
        Those that are written to must be contiguous.
    """
    parallel_numbered_rows(lambda _, *pieces: function(*pieces), *maps)


def parallel_numbered_rows(function: Callable[..., None], *maps: Any) -> None:
    """Like :func:`parallel_rows`, but ``function`` takes the index of the piece in :func:`row_pieces` first."""
    n, h, w, c = maps[0].shape
    views = [m.reshape(n * h, w * c) for m in maps]

    def work(numbered: tuple[int, slice]) -> None:
        number, piece = numbered
        function(number, *(view[piece] for view in views))

    parallel_for(work, list(enumerate(row_pieces(maps[0]))), PER_ELEMENT * n * h * w * c)
