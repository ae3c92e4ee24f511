"""A training that is really killed, in a process of its own, and really resumed."""

import csv
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from scratchnet.cli.main import main
from tests.processes import environment
from tests.tiny import write_set

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

TRAIN = [
    *("train", "--data", "set", "--model", "bloodcell", "--width", "0.25", "--batch-norm"),
    *(
        "--epochs",
        "4",
        "--batch-size",
        "2",
        "--learning-rate",
        "0.01",
        "--schedule",
        "plateau",
        "--lr-step-epochs",
        "1",
    ),
    *("--flip-horizontal", "--rotate90", "--scale", "0.8", "1.2", "--noise", "0.05", "--mosaic", "0.3"),
]
RESUME = ["train", "--resume"]

SLOWLY = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it, and so would this
from scratchnet.cli import main as cli
from scratchnet.training import loop

step = loop.gradient
def rested(*given):
    time.sleep(0.04)
    return step(*given)
loop.gradient = rested
sys.exit(cli.main(sys.argv[1:]))
"""
"""`scratchnet` with a rest before every step: it gives the same numbers, and time to be interrupted."""


def start(folder, words, out, *, slowly=False):
    """Start `scratchnet` in ``folder``."""
    variables = environment(PYTHONUNBUFFERED="1")
    command = [sys.executable, *(("-c", SLOWLY) if slowly else ("-m", "scratchnet")), *words, "--out", out]
    return subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    """Wait for the end; return (exit code, stdout, stderr)."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def interrupt(process, line, delay, how):
    """Send a signal some time after a line of the output began with these words, while the training goes on."""
    for said in process.stdout:
        if said.startswith(line):
            break
    time.sleep(delay)
    assert process.poll() is None, "the training ended before it could be interrupted: let it rest longer"
    process.send_signal(how)
    return finish(process)


def stored(path):
    """Arrays and header of a checkpoint; what the clock and the folder's name decide is left out."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays.pop("header").tobytes())
    for row in header["progress"]["rows"]:
        del row["seconds"]
    del header["settings"]["out"]
    return arrays, header


def log(path):
    with path.open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set, and a run of four epochs that nobody interrupted in ``whole/``."""
    root = tmp_path_factory.mktemp("interruption")
    write_set(root / "set", 30, 32, 32)
    code, _, err = finish(start(root, TRAIN, "whole"))
    assert (code, err) == (0, "")
    return root


def assert_resumes_to_the_same(folder, out):
    """Resume, and compare every number with the run that was left alone."""
    code, said, err = finish(start(folder, RESUME, out))
    assert (code, err) == (0, "")
    for name in ("last.npz", "checkpoint.npz"):
        (arrays, header), (expected, expected_header) = stored(folder / out / name), stored(folder / "whole" / name)
        assert set(arrays) == set(expected)
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, expected[key], err_msg=f"{name}: {key}")
        assert header == expected_header
    assert {"values", "optimizer_state/mean", "optimizer_state/square", "state/conv1_bn.running_var"} <= set(
        stored(folder / out / "last.npz")[0]
    )
    assert log(folder / out / "log.csv") == log(folder / "whole" / "log.csv")
    measured = [json.loads((folder / name / "metrics.json").read_text()) for name in (out, "whole")]
    assert measured[0] | {"checkpoint": ""} == measured[1] | {"checkpoint": ""}
    assert not list((folder / out).glob(".*"))
    assert 'http-equiv="refresh"' not in (folder / out / "report.html").read_text()
    return said


def test_killed_in_the_middle_of_three_epochs(folder):
    """In the first, before there is a checkpoint, in the second, and in the third."""
    words = TRAIN
    for epochs, (line, delay) in enumerate((("bloodcell:", 0.05), ("epoch   1", 0.05), ("epoch   2", 0.05))):
        code, said, _ = interrupt(start(folder, words, "killed", slowly=True), line, delay, signal.SIGKILL)
        assert code == -signal.SIGKILL
        assert "wrote" not in said
        path = folder / "killed" / "log.csv"
        assert (len(log(path)) if path.exists() else 0) == epochs
        if epochs == 1:  # the next one is so short that it may have no report
            report = (folder / "killed" / "report.html").read_text()
            assert "Training: 1 of 4 epochs done" in report
            assert 'http-equiv="refresh"' in report
        words = RESUME
    said = assert_resumes_to_the_same(folder, "killed")
    assert "resuming after epoch 2\nepoch   3/4" in said


def test_ctrl_c(folder):
    code, _, err = interrupt(start(folder, TRAIN, "stopped", slowly=True), "epoch   1", 0.1, signal.SIGINT)
    assert code == 130
    assert (
        err == "\nscratchnet: interrupted; `scratchnet train --out stopped --resume` continues after the last complete "
        "epoch\n"
    )
    assert "Interrupted after epoch 1 of 4." in (folder / "stopped" / "report.html").read_text()
    assert_resumes_to_the_same(folder, "stopped")


def test_sigterm(folder):
    code, _, err = interrupt(start(folder, TRAIN, "ended", slowly=True), "epoch   1", 0.1, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert (
        err == "\nscratchnet: stopped by SIGTERM; `scratchnet train --out ended --resume` continues after the last "
        "complete epoch\n"
    )
    assert "Stopped by SIGTERM after epoch 1 of 4." in (folder / "ended" / "report.html").read_text()
    assert_resumes_to_the_same(folder, "ended")


def test_a_second_signal_ends_the_process_at_once(folder):
    """The first one waits for the end of a step, which takes half a minute here."""
    slow = SLOWLY.replace("    time.sleep(0.04)", "    print('in a step', flush=True); time.sleep(30)")
    words = [sys.executable, "-c", slow, *TRAIN, "--out", "twice"]
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert any(line == "in a step\n" for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == -signal.SIGTERM


def test_a_second_start_without_resume_changes_nothing(folder, capsys, monkeypatch):
    before = {path.name: path.read_bytes() for path in (folder / "whole").iterdir()}
    monkeypatch.chdir(folder)
    assert main([*TRAIN, "--out", "whole"]) == 2
    refusal = (
        "scratchnet: error: whole: holds a run already; add --resume to go on with it or --overwrite to replace it, or "
        "choose another --out; for more images: `scratchnet train --config whole/config.toml --start-from "
        "whole/checkpoint.npz --out whole-2`\n"
    )
    assert capsys.readouterr() == ("", refusal)
    assert {path.name: path.read_bytes() for path in (folder / "whole").iterdir()} == before
