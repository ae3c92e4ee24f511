"""What all tests share: examples that do not change from run to run, and the two float types."""

import gc
import os
import re
import signal
import sys
from types import SimpleNamespace

# Tests multiply small matrices, over which two BLAS threads only wait for each other. NumPy reads this when it starts.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # PyTorch's
os.environ.update(COLUMNS="80", LINES="24")  # help is wrapped to the terminal's width

import numpy as np
import pytest
from hypothesis import settings

collect_ignore = ["standin/path"]  # what is there takes CuPy's place when it is imported

settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("repeatable")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file in one process, because they share what its fixtures make; so do those of a lesson."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    return Scheduling(config, log)


def group_of(nodeid):
    """Return the file of a test, or the lesson that it is about."""
    lesson = re.search(r"tests/lessons/test_(\d\d)_|tests/lessons/test_all\.py.*\[(\d\d)_", nodeid)
    return f"lesson {lesson[1] or lesson[2]}" if lesson else nodeid.split("::")[0]


def pytest_collection_finish():
    """Spare the garbage collector the modules and the tests, which stay to the end: a sweep of them takes 0.2 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk():
    """Let files be written without waiting for the disk: nothing here has to outlast a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: os.fstat(handle) and None)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_news_of_slow_steps():
    """Keep a step that takes long from saying so on stderr: what a command prints must not depend on the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scratchnet.utils.progress.time", SimpleNamespace(monotonic=lambda: 0.0))
        yield


@pytest.fixture(autouse=True, scope="module")
def one_thread_of_pytorch():
    """Take back the threads that tests of the bench ask PyTorch for; on small maps they wait ten times as long."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Both dtypes that networks run in."""
    return np.dtype(request.param)


@pytest.fixture(params=["as it comes", "in pieces"])
def pieces(request, monkeypatch):
    """Element-wise work as it comes, and cut into many pieces for three threads."""
    if request.param == "in pieces":
        monkeypatch.setattr("scratchnet.engine.cpu.chunks.CHUNK_BYTES", 64)
        monkeypatch.setattr("scratchnet.engine.cpu.threads.thread_count", lambda: 3)


@pytest.fixture
def quick_reports(monkeypatch):
    """Make a report's figures without drawing them, which takes longer than to train a small network."""
    monkeypatch.setattr("scratchnet.visualization.report.figure_svg", lambda figure, text: f"<svg>{text}</svg>")


@pytest.fixture
def cores(monkeypatch):
    """Set how many threads share the work, and let even a tiny network's work be shared."""

    def use(count):
        monkeypatch.setattr("scratchnet.engine.cpu.threads._cores", lambda: count)
        monkeypatch.setattr("scratchnet.engine.cpu.threads.MIN_SPLIT_OPERATIONS", 1000)

    return use


@pytest.fixture
def deadline():
    """End a test that waits for ever, such as for another process, with an error."""

    def stop(*_):
        raise TimeoutError("the test waited for more than a minute")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
