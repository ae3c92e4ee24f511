import os
import subprocess
import sys

import pytest

import scratchnet
from scratchnet.cli import main
from scratchnet.utils.errors import UserError
from tests.processes import environment


def broken(monkeypatch, error):
    """Let every command end with an exception."""

    def run(name, words):
        raise error

    monkeypatch.setattr(main, "_run", run)


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_the_overview_names_every_command(capsys, words, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scratchnet"])
    assert main.main(words or None) == 0
    said = capsys.readouterr().out
    for name in main.COMMANDS:
        assert f"  {name} " in said


def test_the_version(capsys):
    for word in ("-V", "--version"):
        assert main.main([word]) == 0
        assert capsys.readouterr().out == f"scratchnet {scratchnet.__version__}\n"


def test_help_as_a_word(capsys):
    assert main.main(["help"]) == 0
    with pytest.raises(SystemExit):
        main.main(["help", "data", "make"])
    assert "usage: scratchnet data make" in capsys.readouterr().out


def test_options_before_the_command(capsys):
    assert main.main(["--threads", "2", "models"]) == 2
    assert capsys.readouterr().err.startswith("scratchnet: error: --threads: options go after the command")


def test_a_command_that_is_none(capsys):
    assert main.main(["tarin"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert (
        said.err
        == f"scratchnet: error: 'tarin' is no command; did you mean train?; choose one of: {', '.join(main.COMMANDS)}\n"
    )


@pytest.mark.parametrize("name", [name for name in main.COMMANDS if name not in ("data", "exercise", "bench")])
def test_every_command_has_help_with_an_example(capsys, name):
    with pytest.raises(SystemExit) as left:
        main.main([name, "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert f"scratchnet {name}" in said
    assert "Example: " in said


def test_help_is_not_broken_where_the_source_is(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    for name, words in (
        ("explain", "Default: 256, or the network's fixed size."),
        (
            "segment",
            '"segments" (around regions of similar colour; needs scikit-image)',
        ),  # of the class it inherits from
        ("train", "as if they were one large batch, in the memory of one."),  # of a group of settings
    ):
        with pytest.raises(SystemExit):
            main.main([name, "--help"])
        assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    [
        "data make",
        "data check",
        "data weights",
        "data import",
        "bench ops",
        "bench step",
        "bench segment",
        "bench peers",
    ],
)
def test_so_have_commands_of_two_words(capsys, name):
    with pytest.raises(SystemExit) as left:
        main.main([*name.split(), "--help"])
    assert left.value.code == 0
    assert f"Example: scratchnet {name}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("a.png: damaged\n  (very)"), "a.png: damaged (very)"),
        (PermissionError(13, "Permission denied", "/root/x"), "/root/x: Permission denied"),
        (OSError("odd"), "the system: odd"),
        (
            OSError(12, "Cannot allocate memory"),
            "not enough memory (Cannot allocate memory); use smaller batches, tiles or images",
        ),
        (MemoryError("9 TiB"), "not enough memory (9 TiB); use smaller batches, tiles or images"),
    ],
)
def test_errors_are_one_line(capsys, monkeypatch, error, line):
    broken(monkeypatch, error)
    assert main.main(["train"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"scratchnet: error: {line}\n")


def test_ctrl_c(capsys, monkeypatch):
    broken(monkeypatch, KeyboardInterrupt())
    assert main.main(["train"]) == 130
    assert capsys.readouterr().err == "\nscratchnet: interrupted\n"


def test_errors_of_the_program_are_not_hidden(monkeypatch):
    broken(monkeypatch, ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        main.main(["train"])


def run(*words, **settings):
    return subprocess.run(
        [sys.executable, "-m", "scratchnet", *words],
        env=environment(),
        text=True,
        capture_output=True,
        check=False,
        **settings,
    )


def test_as_a_program(tmp_path):
    assert run("--version").stdout == f"scratchnet {scratchnet.__version__}\n"
    failed = run("segment", "none.npz", "a.png", "--out", "masks", cwd=tmp_path)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == (
        "scratchnet: error: none.npz: no such checkpoint; a training writes one to RUN/checkpoint.npz\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_leaves_early(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    left = subprocess.run(
        [sys.executable, "-m", "scratchnet", "models"],
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (left.returncode, left.stderr) == (141, b"")


def test_help_is_quick_because_heavy_modules_come_late():
    code = "from scratchnet.cli.main import main; main(['--help']); print([m for m in sys.modules if m in HEAVY])"
    code = f"import sys; HEAVY = ('matplotlib', 'PIL', 'numpy'); {code}"
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment(), text=True, capture_output=True, check=True
    ).stdout
    assert said.splitlines()[-1] == "[]"


def test_threads_are_a_flag_of_every_command(monkeypatch, capsys):
    monkeypatch.setenv("SCRATCHNET_THREADS", "7")
    assert main.main(["models", "--threads", "3", "squares"]) == 0
    assert os.environ["SCRATCHNET_THREADS"] == "3"
    assert "squares" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--threads", "many"], ["--threads", "0"], ["--threads"], ["--threads=1000"], ["--threads=-1"]]
)
def test_a_wrong_number_of_threads_is_one_line(words, capsys):
    assert main.main(["models", *words]) == 2
    assert capsys.readouterr().err.startswith("scratchnet: error: --threads ")


@pytest.mark.parametrize("value", ["abc", "0", "-1", "1.5", "1000"])
def test_a_wrong_number_of_threads_in_the_variable(value, monkeypatch, capsys):
    """Taking all cores instead would be a surprise: the number decides the bits of a training."""
    monkeypatch.setenv("SCRATCHNET_THREADS", value)
    assert main.main(["models"]) == 2
    assert (
        capsys.readouterr().err
        == f"scratchnet: error: SCRATCHNET_THREADS {value}: expected the number of cores to use, 1 to 256\n"
    )
    assert main.main(["bench", "ops", "--threads", "1000"]) == 2
    assert "--threads 1000: expected" in capsys.readouterr().err
    assert main.main(["models", "--threads=2"]) == 0
    assert os.environ["SCRATCHNET_THREADS"] == "2"


def test_an_empty_variable_counts_as_none(monkeypatch):
    monkeypatch.setenv("SCRATCHNET_THREADS", "")
    assert main.main(["models"]) == 0
