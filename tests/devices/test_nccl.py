"""Ranks that sum between their GPUs: threads on the stand-in, and processes that mpiexec starts."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scratchnet.arrays import on_gpu, to_host
from scratchnet.cli import main
from scratchnet.data import shard_slice
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.device import array_module
from scratchnet.losses import PixelLoss
from scratchnet.training import load_checkpoint
from scratchnet.training.accumulation import MicroBatch, gradient
from scratchnet.training.distributed.mpi import MPIRanks
from scratchnet.training.distributed.nccl import NCCLRanks, between_gpus
from scratchnet.training.distributed.process_group import SingleProcess
from scratchnet.training.distributed.sharing import share_batches
from scratchnet.training.run_folder import LAST
from scratchnet.utils.errors import UserError
from tests.ranks import together
from tests.standin import nccl
from tests.standin.array import counted
from tests.standin.module import cupy as standin
from tests.tiny import recipe, sample, write_set
from tests.training.distributed.test_mpi import mpiexec, needs_mpi

NORMED = {"width": 0.1, "batch_norm": True}


class Hosts(MPIRanks):
    """What `mpiexec` starts, with threads in the place of its processes; they add up arrays of the host alone."""

    def __init__(self, threads):
        self.rank, self.size, self.local_rank = threads.rank, threads.size, threads.local_rank
        self.allreduce, self.barrier = threads.allreduce, threads.barrier
        self.communicator = SimpleNamespace(allgather=threads.gather, bcast=lambda value: threads.gather(value)[0])
        self.neighbours = self.communicator


@pytest.fixture
def cards(xp, monkeypatch):
    """Several devices, and NCCL between them."""
    if xp is not standin:
        pytest.skip("kernels are loaded once a process, for one GPU; benchmarks/gpu_ranks.py has processes")
    monkeypatch.setitem(sys.modules, "cupy.cuda.nccl", nccl.module())
    monkeypatch.setattr(standin.cuda.runtime, "getDeviceCount", lambda: 3)
    monkeypatch.setattr(nccl, "sums", [])
    return xp


def on_cards(size, work):
    """Call ``work(ranks)`` in threads that have a device each."""

    def start(threads):
        array_module("gpu", threads.local_rank)
        return work(NCCLRanks(Hosts(threads)))

    return together(size, start)


def test_a_step_waits_for_nothing(cards):
    """Neither the sums nor the loss go through the host, and no rank waits for its GPU."""

    def work(ranks):
        network = recipe(options=NORMED).build().allocate(0).train().to(cards)
        share_batches(network, ranks)
        x, target = (np.stack(part)[ranks.rank :][:1] for part in zip(*(sample(i) for i in range(2)), strict=True))
        parts = [MicroBatch(1, x.astype(np.float32), target, None, ranks.rank)]
        ranks.barrier()
        with counted() as counts:
            ranks.barrier()
            loss = gradient(CapturedNetwork(network), PixelLoss(2, "cross-entropy+dice"), parts, 0, 0, ranks)
            ranks.barrier()
        return loss, counts

    for loss, counts in on_cards(2, work):
        assert on_gpu(loss)
        assert counts.synchronisations == []
        assert sorted(counts.copies) == ["float32[1, 16, 16, 3]"] * 2 + ["uint8[1, 16, 16]"] * 2


def test_a_rank_without_images_takes_part_in_all_sums(cards):
    x, target = (np.stack(part) for part in zip(*(sample(i) for i in range(2)), strict=True))
    loss = PixelLoss(2, "cross-entropy+dice", (0.3, 2.0), normalization="weights")

    def work(ranks, xp=cards):
        network = recipe(options=NORMED).build().allocate(0, np.float64).train().to(xp)
        share_batches(network, ranks)
        own = shard_slice(2, ranks.rank, ranks.size)
        parts = [MicroBatch(1, x[own].astype(np.float64), target[own], None, own.start)]
        value = gradient(CapturedNetwork(network), loss, parts, 0, 0, ranks)
        return float(value), to_host(network.flat().grads), [to_host(b.value) for b in network.state().values()]

    expected = work(SingleProcess(), np)
    for value, grads, state in on_cards(3, work):
        assert value == pytest.approx(expected[0], abs=1e-9)
        np.testing.assert_allclose(grads, expected[1], rtol=0, atol=1e-9 * np.abs(expected[1]).max())
        for found, wanted in zip(state, expected[2], strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)


def test_what_nccl_cannot_add_up_is_refused_by_the_stand_in(monkeypatch):
    communicator = nccl.NcclCommunicator(1, nccl.get_unique_id(), 0)
    array = standin.ones((4, 4), np.float32)

    def add(pointer, count, kind=nccl.NCCL_FLOAT32):
        communicator.allReduce(pointer, pointer, count, kind, nccl.NCCL_SUM, 0)

    add(array.data.ptr, 16)
    host = np.ones(16, np.float32)
    for call in (
        lambda: add(host.ctypes.data, 16),
        lambda: add(array.data.ptr, 8),
        lambda: add(array.data.ptr, 16, nccl.NCCL_FLOAT64),
        lambda: add(array[:, :2].data.ptr, 8),
        lambda: add(array.astype(np.int32).data.ptr, 16),
    ):
        with pytest.raises(nccl.NcclError):
            call()


def test_one_process_alone_needs_no_nccl(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with between_gpus(SingleProcess()) as ranks:
        assert type(ranks) is SingleProcess


def refused(size=2):
    """Return what every rank says that cannot connect its GPU."""

    def work(threads):
        with pytest.raises(UserError) as error, between_gpus(Hosts(threads)):
            pass
        return str(error.value)

    (message,) = set(together(size, work))
    return message


def test_without_nccl_one_line_says_what_to_install(cards, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy.cuda.nccl", nccl.module(available=False))
    assert refused() == (
        "--device gpu: CuPy finds no NCCL, which sums arrays of several GPUs; pip install nvidia-nccl-cu12, or "
        "add --allreduce mpi, which sums through the host and is slower"
    )


def test_processes_that_share_a_gpu_are_told_so(cards):
    assert (
        "2 processes of a machine share 1 of its GPUs, and NCCL needs one for each; start fewer, or add --allreduce mpi"
        in refused()
    )


def test_gpus_that_do_not_come_together(cards, monkeypatch):
    def fail(*_):
        raise nccl.NcclError("NCCL_ERROR_SYSTEM_ERROR: unhandled system error")

    monkeypatch.setattr(sys.modules["cupy.cuda.nccl"], "NcclCommunicator", fail)
    with pytest.raises(UserError, match=r"NCCL cannot connect .*unhandled system error\); NCCL_DEBUG=INFO"):
        on_cards(2, lambda ranks: None)


def test_a_rank_that_fails_gives_up_its_sums(cards):
    class Failed(Exception):
        pass

    def work(threads):
        array_module("gpu", threads.local_rank)
        with pytest.raises(Failed), between_gpus(Hosts(threads)) as ranks:
            raise Failed
        return ranks

    for ranks in together(2, work):
        assert ranks._gpus.group is None


PROCESSES = """
import sys
from scratchnet.cli.main import main
from scratchnet.engine import dispatch
from tests.standin import kernels, module, nccl

module.cupy.cuda.runtime.getDeviceCount = lambda: 2
nccl.Threads = nccl.Processes
dispatch.find_fast_form = kernels.find_no_kernel
sys.modules |= {"cupy": module.cupy, "cupy.cuda.nccl": nccl.module()}
code = main(sys.argv[1:])
if nccl.sums:
    rank, *largest = max(nccl.sums, key=lambda s: s[1])
    print("NCCL", len(nccl.sums), largest, "on GPU", module.Device().id, file=sys.__stdout__)
sys.exit(code)
"""


@needs_mpi
def test_processes_of_mpiexec_sum_between_their_gpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_set(Path("set"), 9)
    words = ["train", "--data", "set", "--width", "0.1", "--batch-norm", "--batch-size", "3", "--epochs", "1"]
    words += ["--optimizer", "sgd", "--learning-rate", "0.01"]
    assert main.main([*words, "--out", "alone"]) == 0
    expected = load_checkpoint(Path("alone") / LAST).network.flat().values
    done = mpiexec(2, "-c", PROCESSES, *words, "--out", "nccl", "--device", "gpu")
    assert done.returncode == 0, done.stderr
    assert f"[({expected.size},), 'float32'] on GPU 0" in done.stdout
    assert f"[({expected.size},), 'float32'] on GPU 1" in done.stdout
    np.testing.assert_allclose(load_checkpoint(Path("nccl") / LAST).network.flat().values, expected, rtol=0, atol=1e-4)
