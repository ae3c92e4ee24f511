"""Where the system allows few threads."""

import os
import sys
import threading

import pytest

from scratchnet.data.loading import prefetch
from scratchnet.utils.process_limits import keep_blas_within_limits


@pytest.fixture
def fresh(monkeypatch):
    """A process in which NumPy is not imported yet, on eight cores."""
    monkeypatch.delitem(sys.modules, "numpy")
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    return monkeypatch


@pytest.mark.parametrize("allowed", [0, 1, 6, 7, 100])
def test_blas_does_without_threads_that_cannot_be_started(fresh, allowed):
    start, started = threading.Thread.start, []

    def limited(thread):
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    fresh.setattr(threading.Thread, "start", limited)
    keep_blas_within_limits()
    assert os.environ.get("OPENBLAS_NUM_THREADS") == (None if allowed >= 7 else "1")
    assert not any(thread.is_alive() for thread in started)


def test_a_choice_of_the_users_is_kept(fresh):
    fresh.setitem(os.environ, "OPENBLAS_NUM_THREADS", "3")
    keep_blas_within_limits()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"


def test_batches_are_read_without_a_background_thread(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    def make(number):
        if number == 8:
            raise OSError("at its place")
        return -number

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert list(prefetch(range(8), make)) == [-number for number in range(8)]
    results = prefetch(range(9), make)
    assert [next(results) for _ in range(8)] == [-number for number in range(8)]
    with pytest.raises(OSError, match="at its place"):
        next(results)
