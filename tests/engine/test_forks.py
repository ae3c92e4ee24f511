"""Children that a program forks itself, as multiprocessing does: they compute, and leave the parent alone."""

import os
import threading
import traceback

import numpy as np
import pytest
import threadpoolctl

from scratchnet.engine import forks
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.cpu import blas
from scratchnet.engine.cpu.blas import one_blas_thread
from scratchnet.engine.cpu.threads import MIN_THREAD_OPERATIONS, parallel_map
from scratchnet.engine.forks import share_with_children
from scratchnet.engine.memory.shared import shared_copy, shared_zeros
from scratchnet.training.optimizers import SGD
from tests.compare import numbers
from tests.engine.capture.test_captured_network import small
from tests.processes import fork

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.usefixtures("deadline"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def every_blas():
    """Hold the libraries that earlier tests have loaded as well: SciPy brings an OpenBLAS of its own."""
    blas._libraries.cache_clear()
    yield
    blas._libraries.cache_clear()


def in_child(function):
    """Run ``function`` in a forked child; fail if it does."""
    pid = fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def shares():
    assert parallel_map(list, range(4), MIN_THREAD_OPERATIONS) == [[0, 1], [2, 3]]


def test_a_child_of_a_process_that_has_computed_computes(cores):
    cores(2)
    shares()  # starts the workers, which the child will not have
    in_child(shares)
    shares()


def test_a_child_forked_while_another_thread_computes(cores):
    """The other thread holds the locks of the workers and of the BLAS, and is not there in the child to let go."""
    cores(2)
    begun, finish = threading.Event(), threading.Event()

    def long(share):
        begun.set()
        assert finish.wait(30)

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        other = threading.Thread(target=parallel_map, args=(long, range(4), MIN_THREAD_OPERATIONS))
        other.start()
        assert begun.wait(10)

        def compute():
            assert blas_threads() == before
            shares()
            assert blas_threads() == before

        in_child(compute)
        finish.set()
        other.join()
        assert blas_threads() == before


def blas_threads():
    return [info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]


def test_a_child_forked_inside_a_hold_of_the_blas_keeps_it():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()

        def leave():
            assert all(count == 1 for count in blas_threads())
            hold.__exit__(None, None, None)
            assert blas_threads() == before

        hold = one_blas_thread()
        hold.__enter__()
        in_child(leave)
        assert all(count == 1 for count in blas_threads())
        hold.__exit__(None, None, None)
        assert blas_threads() == before


def step(net, fast, optimizer, seed):
    y = fast.forward(numbers(2, 12, 16, 3, seed=seed, dtype=np.float32))
    fast.backward(y / y.size, add=False)
    optimizer.step(net.flat(), 0.1)
    return y


def test_a_child_that_trains_a_network_does_not_change_the_parents(cores):
    """Parameters live in memory that worker processes share; other children must have a copy of it."""
    cores(2)
    net, twin = small(), small()
    fast, optimizer = CapturedNetwork(net), SGD(0.9)
    plain, other = CapturedNetwork(twin), SGD(0.9)
    for seed in range(3):
        step(net, fast, optimizer, seed)
        step(twin, plain, other, seed)
    before = net.flat().values.copy()

    def train():
        for seed in range(3, 6):
            np.testing.assert_array_equal(step(net, fast, optimizer, seed), step(twin, plain, other, seed))
        assert not np.array_equal(net.flat().values, before)

    in_child(train)
    np.testing.assert_array_equal(net.flat().values, before)
    np.testing.assert_array_equal(step(net, fast, optimizer, 3), step(twin, plain, other, 3))


def test_sharing_is_for_those_who_ask_for_it():
    mine, copied = shared_zeros((3,), np.float64), shared_copy(np.arange(5.0))
    view = copied[1:3]

    def write():
        mine[...] = 1
        np.testing.assert_array_equal(view, [1, 2])
        view[...] = 9

    in_child(write)
    assert not mine.any()
    np.testing.assert_array_equal(copied, np.arange(5.0))
    with share_with_children():
        in_child(write)
    assert mine.all()
    assert (view == 9).all()


def test_everything_that_keeps_threads_or_locks_says_how_to_start_again():
    modules = {function.__module__ for function in forks._FUNCTIONS}
    assert modules == {"scratchnet.engine.cpu.blas", "scratchnet.engine.memory.shared", "scratchnet.engine.cpu.threads"}
