import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness import processes
from tests.processes import environment

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system has no /proc")
linux = pytest.mark.skipif(not processes.can_measure_memory(), reason="the system does not tell its memory in detail")

WORK = """
import sys, time
block = bytearray({megabytes} << 20)
block[::4096] = b"x" * len(block[::4096])
end = time.process_time() + {seconds}
while time.process_time() < end:
    pass
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def child():
    """Start a process that computes for a while, allocates memory and waits."""
    started = []

    def start(seconds, megabytes=0):
        command = [sys.executable, "-c", WORK.format(seconds=seconds, megabytes=megabytes)]
        process = subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.communicate()


def test_children_belong_to_the_family(child):
    process = child(0)
    assert processes.process_tree()[0] == os.getpid()
    assert process.pid in processes.process_tree()
    process.communicate()
    assert process.pid not in processes.process_tree()


def test_the_work_of_children_is_not_that_of_others(child):
    before = processes.cpu_seconds()
    process = child(0.2)
    assert processes.cpu_seconds() - before >= 0.18
    process.communicate()  # an ended child still counts
    assert processes.cpu_seconds() - before >= 0.18


@linux
def test_the_memory_of_children_counts(child):
    before = processes.memory_in_use()
    child(0, megabytes=50)
    assert processes.memory_in_use() - before > 50 << 20


def take_and_return(megabytes):
    """Use memory of the system's; an array's may lie in what the process has kept of earlier ones."""
    with mmap.mmap(-1, megabytes << 20) as block:
        block.write(bytes(1) * len(block))


@linux
def test_the_highest_memory_is_kept_until_it_is_forgotten():
    take_and_return(50)
    processes.reset_peak_memory()
    assert processes.peak_above_current() < 20 << 20
    take_and_return(50)
    assert processes.peak_above_current() > 40 << 20


def test_processes_that_ended_meanwhile_are_passed_by():
    assert processes._read(Path("/proc/0/stat")) == ""
