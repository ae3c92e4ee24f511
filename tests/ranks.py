"""Ranks of a training that are threads of one process: no MPI needed, and quick."""

import threading

import numpy as np


class ThreadRanks:
    """One of several threads that add up their arrays; all must do so in the same order, as with MPI."""

    def __init__(self, rank, size, shared):
        self.rank, self.size, self.local_rank, self._shared = rank, size, rank, shared
        self.calls, self.bytes = 0, 0

    def allreduce(self, array):
        assert array.flags.c_contiguous
        assert type(array) is np.ndarray
        arrays, barrier = self._shared
        arrays[self.rank] = array
        barrier.wait()
        assert len({(a.shape, a.dtype) for a in arrays}) == 1, [a.shape for a in arrays]
        whole = sum(arrays[1:], arrays[0])
        barrier.wait()  # everyone has read all of them
        array[...] = whole
        self.calls += 1
        self.bytes += array.nbytes

    def gather(self, value):
        """Return the values of all threads."""
        values, barrier = self._shared
        values[self.rank] = value
        barrier.wait()
        found = list(values)
        barrier.wait()
        return found

    def barrier(self):
        self._shared[1].wait()


def together(size, function):
    """Call ``function(ranks)`` in ``size`` threads; return their results, or raise the first error."""
    shared = ([None] * size, threading.Barrier(size, timeout=30))
    results, errors = [None] * size, []

    def work(rank):
        try:
            results[rank] = function(ThreadRanks(rank, size, shared))
        except BaseException as error:
            errors.append(error)
            shared[1].abort()

    threads = [threading.Thread(target=work, args=(rank,), name=f"rank {rank}") for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in sorted(errors, key=lambda e: isinstance(e, threading.BrokenBarrierError)):
        raise error
    return results
