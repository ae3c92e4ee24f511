"""Sums directly between GPUs, with NVIDIA's NCCL.

Through the host a sum would wait three times: for the GPU, for the copy to the host, and for the other processes.
NCCL's sum is queued like any kernel: in the GPU's *stream*, after the kernels that compute the values and before those
that read them, while the host continues to fill the queue. MPI still starts the processes, connects their GPUs, and
sums arrays on the host.

There are two requirements: every process has a GPU of its own, and all processes queue their sums in the same order,
including those for a batch in which a process has no image (see
:class:`scratchnet.training.distributed.process_group.ProcessGroup`).
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

_OTHERWISE = "or add --allreduce mpi, which sums through the host and is slower"


class NCCLRanks:
    """The group of processes that ``mpiexec`` has started, each with a GPU of its own.

    Parameters
    ----------
    hosts : MPIRanks
        The same processes; connects the GPUs and sums arrays on the host.

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
        for problem in filter(None, problems):  # all ranks raise the same error, so that none waits
            raise UserError(f"--device gpu: {problem}, {_OTHERWISE}")
        self._sum = nccl.NCCL_SUM
        self._types = {"float32": nccl.NCCL_FLOAT32, "float64": nccl.NCCL_FLOAT64}
        try:
            name = hosts.communicator.bcast(nccl.get_unique_id() if hosts.rank == 0 else None)
            self._gpus = nccl.NcclCommunicator(hosts.size, name, hosts.rank)
        except nccl.NcclError as error:
            raise UserError(
                f"--device gpu: NCCL cannot connect the GPUs ({error}); NCCL_DEBUG=INFO in the environment "
                f"prints details, {_OTHERWISE}"
            ) from error

    def allreduce(self, array: Array) -> None:
        """Replace an array by its sum over all ranks; on a GPU the sum is queued."""
        if not on_gpu(array):
            self.hosts.allreduce(array)
            return
        place: int = array.data.ptr  # type: ignore[attr-defined]
        kind = self._types[array.dtype.name]
        self._gpus.allReduce(place, place, array.size, kind, self._sum, self._stream().ptr)

    def barrier(self) -> None:
        """Return when all ranks have called this."""
        self.hosts.barrier()

    def leave(self) -> None:
        """Abort unfinished sums, for which this process would otherwise wait when it ends."""
        self._gpus.abort()


@contextmanager
def between_gpus(ranks: ProcessGroup) -> Iterator[ProcessGroup]:
    """Yield a group that sums directly between GPUs; a single process is yielded unchanged.

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
    """Return CuPy's NCCL module; without the library it is almost empty, and warns when it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module("cupy.cuda.nccl")


def _missing(nccl: Any) -> str | None:
    if nccl.available:
        return None
    import cupy

    version = cupy.cuda.runtime.runtimeGetVersion() // 1000
    return f"CuPy finds no NCCL, which sums arrays of several GPUs; pip install nvidia-nccl-cu{version}"


def _shared(hosts: MPIRanks) -> str | None:
    """Return a description of the problem if two processes of this machine use the same GPU, or None."""
    import cupy

    own = cupy.cuda.runtime.deviceGetPCIBusId(cupy.cuda.Device().id)
    gpus = hosts.neighbours.allgather(own)
    processes, count = len(gpus), len(set(gpus))
    if processes == count:
        return None
    return f"{processes} processes of a machine share {count} of its GPUs, and NCCL needs one for each; start fewer"
