"""Whatever stdout and stderr are, a command leaves the same files and no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from scratchnet.utils.terminal import HANDLER, PLAIN
from tests.processes import environment

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
ENCODINGS = {"cp1252": "cp1252", "ascii": "ascii"}


def run(line, folder, **variables):
    """Run a line of shell in which ``scratchnet`` is the program; return exit code, stdout, stderr as bytes."""
    line = line.replace("scratchnet", f"'{sys.executable}' -m scratchnet")
    ended = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env=environment(SCRATCHNET_THREADS="1", **variables),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"Traceback" not in ended.stderr
    assert b"UnicodeEncodeError" not in ended.stderr
    return ended.returncode, ended.stdout, ended.stderr


@POSIX
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_in_an_encoding_that_lacks_its_characters(plain, tmp_path, encoding):
    """The table has ≤ and ×, which neither cp1252 (the first) nor ASCII has."""
    told = {"PYTHONUTF8": "0", "PYTHONIOENCODING": ENCODINGS[encoding], "LC_ALL": "C"}
    run_, data = plain / "run" / "checkpoint.npz", plain / "set"
    code, said, err = run(f"scratchnet evaluate {run_} --data {data} --out here > table.txt", tmp_path, **told)
    assert (code, said, err) == (0, b"", b"")
    assert "mean IoU" in (tmp_path / "table.txt").read_bytes().decode(ENCODINGS[encoding].split(":")[0])
    assert (tmp_path / "here" / "metrics.json").exists()
    assert (tmp_path / "here" / "confusion.png").exists()


@POSIX
@pytest.mark.parametrize("words", ["--help", "train --help", "models", "zebra"])
def test_help_and_errors_in_ascii(tmp_path, words):
    told = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    code, said, err = run(f"scratchnet {words}", tmp_path, **told)
    assert code == (2 if "zebra" in words else 0)
    assert (said + err).isascii()


@POSIX
@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("> /dev/full", 2),
        ("> /dev/full 2> /dev/full", 2),
        ("<&- >&- 2>&-", 0),
    ],
)
def test_what_cannot_be_printed_is_no_reason_to_lose_results(plain, tmp_path, where, code):
    if "full" in where and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    checkpoint, data = plain / "run" / "checkpoint.npz", plain / "set"
    ended, _, err = run(f"scratchnet segment {checkpoint} {data}/images --out masks {where}", tmp_path)
    assert ended == code
    assert len(list((tmp_path / "masks").glob("*.png"))) == 12
    assert err.count(b"\n") == (where == "> /dev/full")
    if err:
        assert err == b"scratchnet: error: not everything could be printed (No space left on device)\n"


@POSIX
def test_a_reader_that_leaves_before_the_end(plain, tmp_path):
    checkpoint, data = plain / "run" / "checkpoint.npz", plain / "set"
    line = f"(scratchnet segment {checkpoint} {data}/images --out masks; echo $? >&2) | head -n 1"
    _, said, err = run(line, tmp_path)
    assert said.count(b"\n") == 1
    assert err.strip() in (b"0", b"141")  # 0 where everything was in the pipe before the reader left
    assert len(list((tmp_path / "masks").glob("*.png"))) == 12


@POSIX
def test_errors_with_stderr_closed_go_nowhere(tmp_path):
    """Neither to stdout nor into the next file that is opened."""
    assert run("scratchnet segment none.npz a.png --out masks 2>&-", tmp_path) == (2, b"", b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_escape_codes(call, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for words in (["--help"], ["train", "--help"], ["train", "--zebra"], ["models"]):
        _, said, err = call(*words)
        assert "\x1b" not in said + err
        assert "[bold]" not in said + err


def test_plainer_characters_stand_for_what_is_missing():
    assert "3×3 ≤ 0 … ünï→𝄞".encode("ascii", HANDLER) == b"3x3 <= 0 ... un?->?"
    assert all(text.isascii() for text in PLAIN.values())
