"""Processes that share a program: who does what, in which order, and what happens when one of them or all end."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from scratchnet.engine.capture import Program, worker_processes
from scratchnet.engine.capture.worker_processes import WorkerProcesses, can_fork
from scratchnet.engine.memory.pool import default_pool, pooled_empty
from scratchnet.engine.memory.shared import shared_zeros
from tests.processes import alive, children, environment, fork

pytestmark = [
    pytest.mark.skipif(not can_fork(), reason="processes cannot be forked on this system"),
    pytest.mark.usefixtures("deadline"),
]


@pytest.fixture(autouse=True)
def nobody_is_left():
    before = children()
    yield
    if not children() <= before:
        gc.collect()
    assert children() <= before


def program(*stages):
    result = Program()
    result.stages = [[list(calls) for calls in stage] for stage in stages]
    return result


def add(target, amount):
    target += amount


def nothing():
    pass


def call(function, *arguments):
    return lambda: function(*arguments)


def test_every_list_is_done_by_a_process_of_its_own():
    pids = shared_zeros((3,), np.int64)

    def sign(k):
        pids[k] = os.getpid()

    workers = WorkerProcesses(program([[call(sign, k)] for k in range(3)]))
    workers.run()
    assert pids.tolist() == [os.getpid(), *workers.pids]
    assert len(set(pids.tolist())) == 3


def test_a_section_begins_when_all_of_the_one_before_are_done():
    """Every process doubles what its neighbour wrote: a process ahead of the others would read an old number."""
    a, b = shared_zeros((3,), np.float64), shared_zeros((3,), np.float64)
    a += [1, 2, 3]

    def copy(source, target, k):
        target[k] = 1 + source[(k + 1) % 3]

    there = [[call(copy, a, b, k)] for k in range(3)]
    back = [[call(copy, b, a, k)] for k in range(3)]
    between = [[call(add, b, 1)]]  # one list: the leader alone
    workers = WorkerProcesses(program(there, between, back))
    expected = np.array([1.0, 2, 3])
    for _ in range(300):
        workers.run()
        expected = np.roll(expected, -2) + 3
    np.testing.assert_array_equal(a, expected)


def test_sections_may_have_different_numbers_of_lists():
    counts = shared_zeros((4,), np.int64)
    stages = [[[call(add, counts[k : k + 1], 1)] for k in range(count)] for count in (2, 4, 1, 3)]
    workers = WorkerProcesses(program(*stages))
    for _ in range(5):
        workers.run()
    assert counts.tolist() == [20, 15, 10, 5]


def test_one_set_of_workers_for_several_programs_in_any_order():
    """A process with nothing to do in one program waits for the next."""
    counts = shared_zeros((3,), np.int64)

    def adding(*numbers):
        return [[[call(add, counts[k : k + 1], n)] for k in range(count)] for count, n in numbers]

    workers = WorkerProcesses(program(*adding((2, 1), (1, 10), (2, 1))), program(*adding((3, 100), (2, 100))))
    for number in (0, 1, 1, 0, 0, 1, 0):
        workers.run(number)
    assert counts.tolist() == [4 * 12 + 600, 4 * 2 + 600, 300]


def test_more_processes_than_a_page_of_memory_has_semaphores():
    done = shared_zeros((33,), np.int64)  # two semaphores of 64 bytes each
    workers = WorkerProcesses(program([[call(add, done[k : k + 1], 1)] for k in range(33)]))
    workers.run()
    workers.run()
    assert (done == 2).all()


def test_idle_memory_is_not_copied_for_the_processes():
    pooled_empty(np.zeros(0), (1 << 20,))
    assert default_pool().idle
    workers = WorkerProcesses(program([[nothing], [nothing]]))
    assert not default_pool().idle
    workers.run()


@pytest.mark.parametrize("how", ["close", "forget"])
def test_processes_end_with_their_object(how):
    workers = WorkerProcesses(program([[nothing], [nothing], [nothing]]))
    workers.run()
    pids = workers.pids.copy()
    assert all(map(alive, pids))
    if how == "close":
        workers.close()
        workers.close()  # a second time does no harm
    else:
        del workers
    assert not set(pids) & children()


@pytest.mark.parametrize("when", ["before", "during"])
def test_the_death_of_a_process_is_an_error_and_no_endless_wait(monkeypatch, when):
    monkeypatch.setattr(worker_processes, "_CHECK_INTERVAL", 0.1)

    def end():
        os.kill(os.getpid(), signal.SIGKILL)

    workers = WorkerProcesses(program([[nothing], [end if when == "during" else nothing], [nothing]]))
    if when == "before":
        os.kill(workers.pids[0], signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"worker process \d+ died during a pass"):
        workers.run()
    assert not workers.ready
    assert not set(workers.pids) & children()


def test_a_process_that_died_while_it_waited_is_noticed_before_work_begins():
    workers = WorkerProcesses(program([[nothing], [nothing]]))
    workers.run()
    assert not workers.has_died()
    os.kill(workers.pids[0], signal.SIGKILL)
    end = time.time() + 10
    while not workers.has_died() and time.time() < end:
        time.sleep(0.01)
    assert workers.has_died()
    workers.close()


def test_waiting_does_not_depend_on_the_wall_clock(monkeypatch):
    """A clock that is set back by an hour must not keep the leader waiting for an hour."""
    monkeypatch.setattr(worker_processes, "_CHECK_INTERVAL", 0.1)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    workers = WorkerProcesses(program([[nothing], [nothing]]))
    if not hasattr(workers._library, "sem_clockwait"):
        pytest.skip("this C library waits by the wall clock only")
    os.kill(workers.pids[0], signal.SIGKILL)
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match="died during a pass"):
        workers.run()
    assert time.monotonic() - begin < 5


def test_an_error_in_a_process_reaches_the_leader(monkeypatch):
    monkeypatch.setattr(worker_processes, "_CHECK_INTERVAL", 0.1)
    workers = WorkerProcesses(program([[nothing], [call(np.add, 1, np.zeros(2), np.zeros(3))]]))
    with pytest.raises(RuntimeError, match="died during a pass"):
        workers.run()


def test_a_process_that_somebody_else_waited_for_counts_as_dead(monkeypatch):
    monkeypatch.setattr(worker_processes, "_CHECK_INTERVAL", 0.1)
    workers = WorkerProcesses(program([[nothing], [nothing]]))
    os.kill(workers.pids[0], signal.SIGKILL)
    os.waitpid(workers.pids[0], 0)
    with pytest.raises(RuntimeError, match="died during a pass"):
        workers.run()


def test_after_an_interruption_nobody_writes_any_more_and_the_set_of_workers_is_closed():
    """The others stood in the middle of the program: the next run would have begun where they were."""
    done = shared_zeros((1,), np.int64)

    def interrupt():
        raise KeyboardInterrupt

    def slowly():
        time.sleep(0.1)
        add(done, 1)

    workers = WorkerProcesses(program([[interrupt], [slowly]], [[nothing], [call(add, done, 100)]]))
    with pytest.raises(KeyboardInterrupt):
        workers.run()
    assert done[0] == 1
    assert not workers.ready
    assert not set(workers.pids) & children()


def test_ctrl_c_is_for_the_leader_alone():
    done = shared_zeros((1,), np.int64)
    workers = WorkerProcesses(program([[nothing], [call(add, done, 1)]]))
    workers.run()
    os.kill(workers.pids[0], signal.SIGINT)
    workers.run()
    assert done[0] == 2


def test_infinities_do_not_end_a_process():
    x, y = shared_zeros((2,), np.float64), shared_zeros((2,), np.float64)
    with np.errstate(all="raise"):
        workers = WorkerProcesses(program([[nothing], [call(np.divide, 1.0, x, y)]]))
        workers.run()
    assert np.isinf(y).all()


def test_the_thread_that_forked_may_end():
    """Linux can tell children of their parent's death, but takes the *thread* that forked for the parent."""
    done, made = shared_zeros((1,), np.int64), []
    thread = threading.Thread(target=lambda: made.append(WorkerProcesses(program([[nothing], [call(add, done, 1)]]))))
    thread.start()
    thread.join()
    time.sleep(0.05)
    made[0].run()
    assert done[0] == 1


def test_a_fork_of_the_leader_does_not_send_the_processes_home():
    done = shared_zeros((1,), np.int64)
    workers = WorkerProcesses(program([[nothing], [call(add, done, 1)]]))
    pid = fork()
    if pid == 0:
        try:
            workers.close()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    workers.run()
    assert done[0] == 1


ORPHANS = """
import os, signal, sys, threading
from scratchnet.engine.capture import worker_processes as workers
workers._CHECK_INTERVAL = 0.1
program = workers.Program()
program.stages = [[[lambda: None]] * 3]
made = []
thread = threading.Thread(target=lambda: made.append(workers.WorkerProcesses(program)))
if sys.argv[1] == "main thread":
    thread.run()
else:
    thread.start()
    thread.join()
made[0].run()
print(*made[0].pids, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("where", "how"), [("main thread", "killed"), ("a thread", "killed"), ("a thread", "returns")])
def test_no_process_outlives_the_leader(where, how):
    leader = subprocess.run(
        [sys.executable, "-W", "error", "-c", ORPHANS, where, how],
        env=environment(), capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert (leader.returncode, leader.stderr) == (-signal.SIGKILL if how == "killed" else 0, "")
    pids = list(map(int, leader.stdout.split()))
    assert len(pids) == 2
    end = time.time() + 10
    while any(map(alive, pids)) and time.time() < end:
        time.sleep(0.02)
    assert not any(map(alive, pids))


def test_other_systems_have_no_worker_processes(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    worker_processes._library.cache_clear()
    try:
        assert not can_fork()
        with pytest.raises(RuntimeError, match="processes cannot be forked on this system"):
            WorkerProcesses(program([[nothing], [nothing]]))
    finally:
        worker_processes._library.cache_clear()
