"""Sums between GPUs: what a process has on its GPU goes straight to those of the others, by NVIDIA's NCCL.

By way of the host a sum would be three waits: for the GPU, for the copy down, for the other processes. NCCL's sum is a
piece of work like any kernel. It stands in the GPU's queue (its *stream*) behind the kernels that make the numbers and
in front of those that read them, and the host goes on to fill the queue. MPI still starts the processes, introduces
their GPUs to each other, and adds up what is on the host.

Two things are needed. Every process has a GPU for itself, and all of them hand in their sums in the same order, those
of a batch in which one has no image included (see :class:`scratchnet.training.distributed.process_group.ProcessGroup`).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from scratchnet.arrays import Array, on_gpu
from scratchnet.training.distributed.mpi import MPIRanks
from scratchnet.training.distributed.process_group import ProcessGroup
from scratchnet.utils.errors import UserError

_OTHERWISE = "or add --allreduce mpi, which goes by way of the host and is slower"


class NCCLRanks:
    """The processes that ``mpiexec`` started, each with a GPU of its own.

    Parameters
    ----------
    hosts : MPIRanks
        The same processes; they are introduced through it, and the host's arrays are summed by it.

    Raises
    ------
    UserError
        In all processes, when CuPy has no NCCL in one of them, or when two share a GPU.
    """

    def __init__(self, hosts: MPIRanks) -> None:
        import cupy

        self.hosts, self.rank, self.size, self.local_rank = hosts, hosts.rank, hosts.size, hosts.local_rank
        self._stream = cupy.cuda.get_current_stream
        nccl = _nccl()
        shared = _shared(hosts)
        problems = hosts.communicator.allgather(_missing(nccl) or shared)
        for problem in filter(None, problems):  # all raise the same, and nobody waits for the others
            raise UserError(f"--device gpu: {problem}, {_OTHERWISE}")
        self._sum = nccl.NCCL_SUM
        self._types = {"float32": nccl.NCCL_FLOAT32, "float64": nccl.NCCL_FLOAT64}
        try:
            name = hosts.communicator.bcast(nccl.get_unique_id() if hosts.rank == 0 else None)
            self._gpus = nccl.NcclCommunicator(hosts.size, name, hosts.rank)
        except nccl.NcclError as error:
            raise UserError(
                f"--device gpu: NCCL does not bring the GPUs together ({error}); NCCL_DEBUG=INFO in the environment "
                f"makes it say more, {_OTHERWISE}"
            ) from error

    def allreduce(self, array: Array) -> None:
        """Replace an array by its sum over all ranks; on a GPU it is done when the GPU comes to it."""
        if not on_gpu(array):
            self.hosts.allreduce(array)
            return
        place: int = array.data.ptr  # type: ignore[attr-defined]
        kind = self._types[array.dtype.name]
        self._gpus.allReduce(place, place, array.size, kind, self._sum, self._stream().ptr)

    def barrier(self) -> None:
        """Return when all ranks have come here."""
        self.hosts.barrier()

    def leave(self) -> None:
        """Give up all sums that others have not joined; this process could not end before them."""
        self._gpus.abort()


@contextmanager
def between_gpus(ranks: ProcessGroup) -> Iterator[ProcessGroup]:
    """Yield ranks that sum between their GPUs; one process alone has nothing to sum.

    Raises
    ------
    UserError
        As :class:`NCCLRanks`.
    """
    if not isinstance(ranks, MPIRanks):
        yield ranks
        return
    connected = NCCLRanks(ranks)
    try:
        yield connected
    except BaseException:
        connected.leave()
        raise


def _nccl() -> Any:
    """Return CuPy's module; without the library it is almost empty, and warns of it at length."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module("cupy.cuda.nccl")


def _missing(nccl: Any) -> str | None:
    if nccl.available:
        return None
    import cupy

    version = cupy.cuda.runtime.runtimeGetVersion() // 1000
    return f"CuPy finds no NCCL, which adds up what several GPUs have; pip install nvidia-nccl-cu{version}"


def _shared(hosts: MPIRanks) -> str | None:
    """Return what is wrong where two processes of this machine have the same GPU."""
    import cupy

    own = cupy.cuda.runtime.deviceGetPCIBusId(cupy.cuda.Device().id)
    gpus = hosts.neighbours.allgather(own)
    processes, count = len(gpus), len(set(gpus))
    if processes == count:
        return None
    return f"{processes} processes of a machine share {count} of its GPUs, and NCCL wants one for each; start fewer"
