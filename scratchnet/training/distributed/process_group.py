"""A group of processes that train together, seen from one of them.

    mpiexec -n 4 scratchnet train …

A process of the group is a *rank*. A rank needs one collective operation, the sum of an array over all ranks:
:mod:`scratchnet.training.distributed.mpi` provides it for processes that ``mpiexec`` starts, and
:mod:`scratchnet.training.distributed.nccl` lets their GPUs sum without the host.
:mod:`scratchnet.training.distributed.sharing` does the training with it.
"""

from typing import Protocol

import numpy as np

from scratchnet.arrays import AllReduce, Array, get_array_module, to_scalar


class ProcessGroup(Protocol):
    """The processes that train together, seen from one of them.

    Attributes
    ----------
    rank, size : int
        Number of this process, counted from 0, and number of processes.
    local_rank : int
        Number of this process among those of its machine; decides which GPU it uses.
    """

    rank: int
    size: int
    local_rank: int

    def allreduce(self, array: Array) -> None:
        """Replace a contiguous array by its sum over all ranks.

        All ranks must call this in the same order, with arrays of the same shape and dtype, and either all with
        arrays on a GPU or all with arrays on the host.
        """

    def barrier(self) -> None:
        """Return when all ranks have called this."""


class SingleProcess:
    """The group of a single process: its sums are the arrays themselves."""

    rank, size, local_rank = 0, 1, 0

    def allreduce(self, array: Array) -> None:
        """Leave the array unchanged."""

    def barrier(self) -> None:
        """Return."""


def allreduce_of(ranks: ProcessGroup) -> AllReduce | None:
    """Return the sum over ranks, or None for a single process, which needs none."""
    return ranks.allreduce if ranks.size > 1 else None


def total(value: float, ranks: ProcessGroup, like: Array) -> float:
    """Return the sum of a number over all ranks; if ``like`` is on a GPU, the sum stays there."""
    whole = get_array_module(like).zeros(1, np.float64)
    whole += value
    ranks.allreduce(whole)
    return to_scalar(whole[0])
