import shutil

import pytest

from scratchnet.cli.main import main
from tests.tiny import write_set

SMALL = ["--model", "bloodcell", "--width", "0.1", "--epochs", "1", "--batch-size", "2"]


def without(words, others):
    """Return the pairs of a flag and its value whose flag is not among the other words; a flag may be given once."""
    pairs = zip(words[::2], words[1::2], strict=True)
    return [word for pair in pairs if pair[0] not in others for word in pair]


@pytest.fixture
def call(capsys):
    """Run the command line; return (exit code, stdout, stderr)."""

    def run(*words):
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as leave:  # after --help
            code = leave.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def figures():
    """Ask for a report's figures as they are."""


@pytest.fixture(autouse=True)
def reports(request):
    """Leave the drawing of a report's figures out where a test does not ask for ``figures``."""
    if "figures" not in request.fixturenames:
        request.getfixturevalue("quick_reports")


@pytest.fixture(autouse=True)
def events(request, monkeypatch):
    """Write no event files for TensorBoard where a test does not ask for ``event_files``."""
    if "event_files" not in request.fixturenames:
        monkeypatch.setattr("scratchnet.training.tensorboard.is_installed", lambda: False)


@pytest.fixture
def event_files():
    """Let ``train`` write event files for TensorBoard; skip the test where it is not installed."""
    pytest.importorskip("tensorboard")


@pytest.fixture
def train(call):
    """Train a small network; return (exit code, stdout, stderr)."""

    def run(data, out, *words):
        return call("train", "--data", data, "--out", out, *without(SMALL, words), *words)

    return run


@pytest.fixture
def images(tmp_path):
    """Six images of 32×32 pixels with masks, classes and splits."""
    return write_set(tmp_path / "set", 6, 32, 32)


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A set like ``images``, ``set/``, and what ``train`` without further words makes of it, ``run/``; do not write."""
    root = tmp_path_factory.mktemp("plain")
    write_set(root / "set", 6, 32, 32)
    assert main(["train", "--data", str(root / "set"), "--out", str(root / "run"), "--no-tensorboard", *SMALL]) == 0
    return root


@pytest.fixture
def begun(plain, tmp_path):
    """A run of one epoch that a test may spoil or go on with."""
    return shutil.copytree(plain / "run", tmp_path / "run")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A set, ``set/``, and a trained run, ``run/``; tests do not write there."""
    root = tmp_path_factory.mktemp("finished")
    write_set(root / "set", 6, 32, 32)
    words = [
        "train",
        "--data",
        str(root / "set"),
        "--out",
        str(root / "run"),
        *SMALL,
        "--batch-norm",
        "--no-tensorboard",
    ]
    assert main(words) == 0
    return root
