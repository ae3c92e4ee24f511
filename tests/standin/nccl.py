"""NCCL for the stand-in: the sum over processes, or over threads in their place, and what it refuses.

NCCL knows pointers and numbers of elements. What it would add up without a word is refused here: memory of the host,
arrays with gaps, another type than the array's, calls that differ between the ranks.
"""

import threading
from types import ModuleType

import numpy as np

from tests.standin import array

NCCL_SUM = 0
NCCL_FLOAT32, NCCL_FLOAT64 = 7, 8
_TYPES = {NCCL_FLOAT32: np.float32, NCCL_FLOAT64: np.float64}


class NcclError(RuntimeError):
    """What CuPy raises."""


class Threads:
    """Ranks that are threads."""

    def __init__(self):
        self.arrays, self.lock, self.barrier = {}, threading.Lock(), None

    def join(self, size):
        with self.lock:
            self.barrier = self.barrier or threading.Barrier(size, timeout=30)
        self.barrier.wait()

    def total(self, rank, what):
        self.arrays[rank] = what
        self.barrier.wait()
        (first, *others) = (self.arrays[r] for r in sorted(self.arrays))
        if any((a.shape, a.dtype) != (first.shape, first.dtype) for a in others):
            raise NcclError("the ranks do not sum the same")
        whole = sum((a for a in others), first)
        self.barrier.wait()  # all have read all
        return whole


class Processes:
    """Ranks that mpiexec started."""

    def join(self, size):
        from mpi4py import MPI

        self.communicator = MPI.COMM_WORLD.Dup()
        assert self.communicator.Get_size() == size

    def total(self, rank, what):
        if len(set(self.communicator.allgather((what.shape, what.dtype.name)))) > 1:
            raise NcclError("the ranks do not sum the same")
        whole = np.empty_like(what)
        self.communicator.Allreduce(what, whole)
        return whole


groups = {}
"""Who sums together, by the name that :func:`get_unique_id` gave them."""

sums = []
"""(rank, shape, dtype) of every sum; tests read and clear it."""


def get_unique_id():
    """Return a name for a new group."""
    return len(groups).to_bytes(128, "little")


class NcclCommunicator:
    """One rank's place in a group."""

    def __init__(self, ndev, commId, rank, config=None):
        assert type(commId) is bytes
        assert len(commId) == 128
        assert 0 <= rank < ndev
        self.rank, self.group = rank, groups.setdefault(commId, Threads())
        self.group.join(ndev)

    def allReduce(self, sendbuf, recvbuf, count, datatype, op, stream):
        """Add up; device memory alone, from end to end."""
        array.launched()
        assert op == NCCL_SUM
        assert stream == 0
        given, found = array.at(sendbuf), array.at(recvbuf)
        if self.group is None or given is None or found is None:
            raise NcclError("NCCL_ERROR_INVALID_ARGUMENT: no communicator, or no device memory")
        for host in (given, found):
            if (host.dtype, host.size, host.flags.c_contiguous) != (_TYPES.get(datatype), count, True):
                raise NcclError(f"{count} numbers of type {datatype} are not the array {host.dtype}{host.shape}")
        sums.append((self.rank, given.shape, given.dtype.name))
        found[...] = self.group.total(self.rank, given)

    def abort(self):
        """Leave the group."""
        self.group = None


NAMES = ("NCCL_SUM", "NCCL_FLOAT32", "NCCL_FLOAT64", "NcclError", "get_unique_id", "NcclCommunicator")


def module(available=True):
    """Return what stands for ``cupy.cuda.nccl``; without the library CuPy's is all but empty."""
    made = ModuleType("cupy.cuda.nccl")
    made.available = available
    if available:
        for name in NAMES:
            setattr(made, name, globals()[name])
    return made
