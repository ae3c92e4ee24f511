"""Threads give the same results, pass errors on, and leave the BLAS settings unchanged."""

import threading

import numpy as np
import pytest
import threadpoolctl

from scratchnet.engine.cpu import blas, threads
from scratchnet.engine.cpu.blas import one_blas_thread
from scratchnet.engine.cpu.threads import MIN_SPLIT_OPERATIONS, MIN_THREAD_OPERATIONS, parallel_map
from scratchnet.ops.convolution import conv2d


@pytest.fixture(autouse=True)
def every_blas():
    """Hold the libraries that earlier tests have loaded as well: SciPy brings an OpenBLAS of its own."""
    blas._libraries.cache_clear()
    yield
    blas._libraries.cache_clear()


@pytest.fixture(autouse=True)
def three_threads(monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 3)


def test_every_item_is_done_once_in_contiguous_ordered_chunks():
    assert parallel_map(list, range(8), MIN_THREAD_OPERATIONS) == [[0, 1], [2, 3, 4], [5, 6, 7]]


def test_chunks_run_in_different_threads():
    barrier = threading.Barrier(3, timeout=10)  # passes only if all three chunks run at the same time
    names = parallel_map(
        lambda chunk: (barrier.wait(), threading.current_thread().name)[1], [1, 2, 3], MIN_THREAD_OPERATIONS
    )
    assert len(set(names)) == 3
    assert names[0] == threading.current_thread().name


def test_little_work_stays_with_the_caller():
    def where(chunk):
        return list(chunk), threading.current_thread().name

    here = threading.current_thread().name
    assert parallel_map(where, range(8), MIN_SPLIT_OPERATIONS - 1) == [(list(range(8)), here)]
    # From here on work is split as in a captured program, so that sums round alike; the caller still does all of it.
    assert parallel_map(where, range(8), MIN_THREAD_OPERATIONS - 1) == [
        ([0, 1], here),
        ([2, 3, 4], here),
        ([5, 6, 7], here),
    ]


def test_a_nested_call_runs_in_place():
    def outer(chunk):
        mine = threading.current_thread().name
        return all(
            parallel_map(lambda _: threading.current_thread().name == mine, [1, 2, 3], MIN_THREAD_OPERATIONS)
            for _ in chunk
        )

    assert parallel_map(outer, range(6), MIN_THREAD_OPERATIONS) == [True, True, True]


def test_the_chunks_are_the_same_while_another_thread_has_the_workers():
    """Sums over chunks must not depend on what else a program does."""
    begun, finish, found = threading.Event(), threading.Event(), []

    def long(chunk):
        begun.set()
        assert finish.wait(10)
        return list(chunk)

    other = threading.Thread(target=lambda: found.append(parallel_map(long, range(5), MIN_THREAD_OPERATIONS)))
    other.start()
    assert begun.wait(10)
    meanwhile = parallel_map(list, range(8), MIN_THREAD_OPERATIONS)
    finish.set()
    other.join()
    assert meanwhile == [[0, 1], [2, 3, 4], [5, 6, 7]]
    assert found == [[[0], [1, 2], [3, 4]]]
    assert parallel_map(list, range(3), MIN_THREAD_OPERATIONS) == [[0], [1], [2]]


@pytest.mark.parametrize("operations", [MIN_SPLIT_OPERATIONS, MIN_THREAD_OPERATIONS])
def test_a_chunk_inside_a_chunk_is_one(operations):
    inside = parallel_map(lambda chunk: parallel_map(list, range(4), MIN_THREAD_OPERATIONS), range(3), operations)
    assert inside == [[[0, 1, 2, 3]]] * 3


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_an_error_in_any_chunk_arrives_and_the_next_call_works(bad):
    def work(chunk):
        if bad in chunk:
            raise ZeroDivisionError("chunk")
        return len(chunk)

    with pytest.raises(ZeroDivisionError, match="chunk"):
        parallel_map(work, range(6), MIN_THREAD_OPERATIONS)
    assert parallel_map(len, range(6), MIN_THREAD_OPERATIONS) == [2, 2, 2]


def test_ctrl_c_in_the_callers_chunk_waits_for_the_others():
    finished = []

    def work(chunk):
        if 0 in chunk:
            raise KeyboardInterrupt
        threading.Event().wait(0.05)
        finished.append(chunk)

    with pytest.raises(KeyboardInterrupt):
        parallel_map(work, range(3), MIN_THREAD_OPERATIONS)
    assert len(finished) == 2


def test_errstate_of_the_caller_holds_in_every_chunk():
    huge = np.full(3, 1e300)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        parallel_map(lambda chunk: [huge[i] * huge[i] for i in chunk if i], range(3), MIN_THREAD_OPERATIONS)
    with np.errstate(over="ignore"):
        parallel_map(lambda chunk: [huge[i] * huge[i] for i in chunk], range(3), MIN_THREAD_OPERATIONS)


def test_the_blas_is_held_at_one_thread_only_meanwhile():
    def counts():
        return [info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]

    before = counts()
    inside = parallel_map(lambda chunk: counts(), range(3), MIN_THREAD_OPERATIONS)
    assert all(count == 1 for chunk in inside for count in chunk)
    assert counts() == before


def blas_threads():
    return [info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_overlapping_holds_leave_the_blas_as_it_was(order):
    """Holds of several threads end in any order; the last one to end gives back the number from before the first."""
    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        before = blas_threads()
        holds = [one_blas_thread() for _ in range(3)]
        for hold in holds:
            hold.__enter__()
        for place in order:
            assert all(count == 1 for count in blas_threads())
            holds[place].__exit__(None, None, None)
        assert blas_threads() == before


def test_threads_that_compute_at_once_leave_the_blas_as_it_was_and_get_the_same_bits():
    x = np.random.default_rng(0).standard_normal((2, 40, 40, 48))
    weight = np.random.default_rng(1).standard_normal((5, 5, 48, 48))
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        expected = conv2d(x, weight, None, 1, 2)
        found, start = [], threading.Barrier(4, timeout=20)

        def compute():
            start.wait()
            found.append(conv2d(x, weight, None, 1, 2))

        together = [threading.Thread(target=compute) for _ in range(4)]
        for thread in together:
            thread.start()
        for thread in together:
            thread.join()
        assert blas_threads() == before
    for y in found:
        np.testing.assert_array_equal(y, expected)
    assert len(found) == 4


def test_the_caller_does_what_threads_that_cannot_be_started_would_have_done(monkeypatch):
    monkeypatch.setattr(threads, "_queues", [])

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert parallel_map(list, range(8), MIN_THREAD_OPERATIONS) == [[0, 1], [2, 3, 4], [5, 6, 7]]


@pytest.mark.parametrize(("text", "expected"), [("2", 2), ("", None), ("0", None), ("many", None)])
def test_the_environment_sets_the_number_of_threads(monkeypatch, text, expected):
    monkeypatch.undo()
    monkeypatch.setenv("SCRATCHNET_THREADS", text)
    threads._cores.cache_clear()
    count = threads.thread_count()
    threads._cores.cache_clear()
    assert count == expected if expected else count >= 1
