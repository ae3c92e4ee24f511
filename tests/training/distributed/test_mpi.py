"""Processes that mpiexec starts: real ones, and the ways in which they end, with a stand-in for mpi4py."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scratchnet.cli import main
from scratchnet.training import load_checkpoint
from scratchnet.training.distributed import mpi
from scratchnet.training.run_folder import BEST, LAST
from scratchnet.utils.errors import UserError
from scratchnet.utils.signals import Terminated
from tests.processes import environment
from tests.tiny import write_set

MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason='pip install -e ".[mpi]" brings mpiexec'
)

BREAKING = """
import os, signal, sys
from scratchnet.cli import main as cli
from scratchnet.training import loop

step = loop.gradient
def killed(passes, loss, parts, seed, epoch, ranks):
    if epoch == 1 and parts[0].number == 2 and ranks.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(passes, loss, parts, seed, epoch, ranks)
loop.gradient = killed
sys.exit(cli.main(sys.argv[1:]))
"""


def mpiexec(count, *words):
    """Run Python with these words in ``count`` processes."""
    variables = {
        k: v for k, v in environment(SCRATCHNET_THREADS="1").items() if not k.startswith(("PMI", "OMPI", "HYD"))
    }
    for setting in ("ALLOW_RUN_AS_ROOT", "ALLOW_RUN_AS_ROOT_CONFIRM", "MCA_rmaps_base_oversubscribe"):
        variables[f"OMPI_{setting}"] = "1"
    command = [MPIEXEC, "-n", str(count), sys.executable, *words]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)


@needs_mpi
def test_processes_train_together_lose_one_and_go_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_set(Path("set"), 12)
    words = ["train", "--data", "set", "--width", "0.1", "--batch-norm", "--batch-size", "3", "--epochs", "2"]
    words += ["--optimizer", "sgd", "--learning-rate", "0.01"]
    assert main.main([*words, "--out", "alone"]) == 0
    lost = mpiexec(2, "-c", BREAKING, *words, "--out", "shared")
    assert lost.returncode != 0
    assert (
        lost.stderr.count("a process of the training was lost, and all others ended with it; the same command with --")
        == 1
    )
    assert lost.stdout.count("epoch   1/2") == 1
    assert load_checkpoint(Path("shared") / LAST).progress["epoch"] == 1
    resumed = mpiexec(2, "-m", "scratchnet", "train", "--out", "shared", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.count("resuming after epoch 1") == 1
    assert {path.name for path in Path("shared").iterdir()} == {path.name for path in Path("alone").iterdir()}
    for file in (BEST, LAST):
        one, other = (load_checkpoint(Path(folder) / file) for folder in ("alone", "shared"))
        np.testing.assert_allclose(other.network.flat().values, one.network.flat().values, rtol=0, atol=1e-4)
        for name, array in one.optimizer_state.items():
            np.testing.assert_allclose(other.optimizer_state[name], array, rtol=0, atol=1e-3)
        for name, buffer in one.network.state().items():
            np.testing.assert_allclose(other.network.state()[name].value, buffer.value, rtol=1e-3, atol=1e-5)


@needs_mpi
def test_a_mistake_is_told_once(tmp_path):
    wrong = mpiexec(2, "-m", "scratchnet", "train", "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "run"))
    assert wrong.returncode == 2
    assert wrong.stderr.count("no such folder") == 1
    assert wrong.stderr.startswith("scratchnet: error: ")
    assert not (tmp_path / "run").exists()


# With a stand-in for mpi4py -------------------------------------------------------------------------------------------


class Stopped(BaseException):
    """What ends a rank in these tests."""


class Communicator:
    """Rank ``rank`` of two, whose other rank fails with it, or not."""

    def __init__(self, rank, other_fails):
        self.rank, self.other_fails = rank, other_fails

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return 2

    def Dup(self):
        return self

    def Split_type(self, _):
        return self

    def allgather(self, thing):
        return [thing, thing]

    def Ibarrier(self):
        return SimpleNamespace(Test=lambda: self.other_fails)


@pytest.fixture
def stand_in(monkeypatch):
    """Pretend that mpiexec has started this process as one of two."""

    def start(rank=0, other_fails=False, size=2):
        communicator = Communicator(rank, other_fails)
        module = SimpleNamespace(MPI=SimpleNamespace(COMM_WORLD=communicator, IN_PLACE=None, COMM_TYPE_SHARED=0))
        monkeypatch.setitem(sys.modules, "mpi4py", module)
        monkeypatch.setenv("PMI_SIZE", str(size))
        monkeypatch.setenv("PMI_RANK", str(rank))
        monkeypatch.setenv("SCRATCHNET_THREADS", "1")
        monkeypatch.setattr(mpi, "_PATIENCE", 0.02)
        monkeypatch.setattr(mpi, "_LOST", "lost")

        def stop(_, code):
            raise Stopped(code)

        monkeypatch.setattr(mpi.MPIRanks, "stop_all", stop)

    return start


def test_one_process_needs_no_mpi(monkeypatch):
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with mpi.processes() as ranks:
        assert (ranks.rank, ranks.size) == (0, 1)
    monkeypatch.setenv("PMI_SIZE", "1")  # mpiexec -n 1
    with mpi.processes() as ranks:
        assert ranks.size == 1


def test_without_mpi4py_nobody_trains_the_same_network_several_times(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with (
        pytest.raises(UserError, match=r"started 4 processes, but mpi4py cannot be used .*pip install"),
        mpi.processes(),
    ):
        pass


def test_another_mpi_than_that_of_mpiexec_is_refused(stand_in):
    stand_in(size=3)
    with pytest.raises(UserError, match=r"started 3 processes, but mpi4py sees 2: .* different MPIs"), mpi.processes():
        pass


@pytest.mark.parametrize("rank", [0, 1])
def test_the_first_rank_alone_prints(stand_in, capfd, rank):
    stand_in(rank)
    with mpi.processes() as ranks:
        assert (ranks.rank, ranks.size) == (rank, 2)
        print("hello")
        print("progress", file=sys.stderr)
    assert capfd.readouterr() == (("hello\n", "progress\n") if rank == 0 else ("", ""))


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("a.png: cannot be read"), 2, "error in process {}: a.png: cannot be read"),
        (PermissionError(13, "Permission denied", "run"), 2, "error in process {}: run: Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted in process {}"),
        (Terminated(), 143, "stopped by SIGTERM in process {}"),
        (AssertionError("a bug"), 1, "AssertionError: a bug\nscratchnet: error in process {}"),
    ],
)
def test_an_error_in_one_process_is_told_and_ends_all(stand_in, capfd, rank, error, code, words):
    stand_in(rank)
    with pytest.raises(Stopped) as stopped, mpi.processes():
        raise error
    assert stopped.value.args == (code,)
    said = capfd.readouterr().err
    assert words.format(f"{rank + 1} of 2") in said
    assert said.endswith("; the same command with --resume continues after the last complete epoch\n")


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_in_all_processes_is_raised_in_the_first(stand_in, capfd, rank):
    stand_in(rank, other_fails=True)
    with pytest.raises(UserError if rank == 0 else SystemExit) as raised, mpi.processes():
        raise UserError("a.png: cannot be read")
    assert str(raised.value) == ("a.png: cannot be read" if rank == 0 else "2")
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system tells no process its cores")
@pytest.mark.parametrize(("cores", "threads"), [({0, 1, 2, 3}, "2"), ({3}, "1"), (set(range(64)), "16")])
def test_ranks_of_one_machine_share_its_cores(stand_in, monkeypatch, cores, threads):
    stand_in()
    monkeypatch.delenv("SCRATCHNET_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    with mpi.processes():
        assert os.environ["SCRATCHNET_THREADS"] == threads
