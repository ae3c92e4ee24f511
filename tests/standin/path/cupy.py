"""With this folder in PYTHONPATH every process finds the stand-in in CuPy's place: to try scripts out without a GPU.

Kernels run on the CPU, at a thousandth of a GPU's pace; a clock counts instead of measuring.
"""

import itertools
import os
import sys
from types import SimpleNamespace

from scratchnet.training.distributed.mpi import launched
from tests.standin import kernels, nccl
from tests.standin.module import cupy


class Event:
    """A mark in the device's list of work: its clock goes on by 2 ms from one to the next."""

    clock = itertools.count()

    def record(self):
        self.at = next(self.clock)

    def synchronize(self):
        pass


def between(begin, end):
    """Return milliseconds."""
    return 2.0 * (end.at - begin.at)


class Patch:
    """A test's `monkeypatch`, for good."""

    setattr = staticmethod(lambda target, name, value, raising=True: setattr(target, name, value))


if launched(os.environ)[1] > 1:
    nccl.Threads = nccl.Processes
pool = SimpleNamespace(total_bytes=lambda: 0, free_all_blocks=lambda: None)
properties = {"name": b"no GPU, but a stand-in"}
kernels.install(cupy, Patch)
cupy.cuda.Event, cupy.cuda.get_elapsed_time = Event, between
cupy.cuda.runtime.getDeviceProperties = lambda device: properties
cupy.cuda.runtime.getDeviceCount = lambda: 2
cupy.cuda.runtime.memGetInfo = lambda: (1 << 30, 1 << 30)
cupy.get_default_memory_pool = lambda: pool
sys.modules |= {"cupy": cupy, "cupy.cuda.nccl": nccl.module()}
