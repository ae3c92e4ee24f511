"""Some random cases of every kind against PyTorch, the same in every run; ``python -m tests.differential`` has more."""

import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings

pytest.importorskip("torch")

from tests.differential import kinds, running
from tests.differential.__main__ import main

EXAMPLES = {"conv2d": 150, "conv_transpose2d": 150, "max_pool2d": 150, "network": 100}


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("kind", kinds.KINDS)
def test_random_cases_agree_with_pytorch(kind):
    how = settings(max_examples=EXAMPLES.get(kind, 80), suppress_health_check=list(HealthCheck))
    how(given(kinds.KINDS[kind][0]())(lambda case: running.check(kind, case)))()


CHILD = """
import json, os
print(json.dumps({"round": 0}))
print("what somebody else prints")
print(json.dumps({"begin": "loss", "case": {}}), json.dumps({"end": "ok"}), sep="\\n")
print(json.dumps({"begin": "loss", "case": {"n": 1}}), json.dumps({"end": "failed", "message": "a"}), sep="\\n")
print(json.dumps({"begin": "loss", "case": {"n": 2}}), flush=True)
os.abort()
"""


def test_the_command_reports_failures_and_crashes(monkeypatch, tmp_path, capsys):
    def start(*_):
        return subprocess.Popen(
            [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    monkeypatch.setattr(running, "_start", start)
    status = main(["--minutes", "0.01", "--kind", "loss", "--json", str(tmp_path / "summary.json")])
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert status == 1
    assert summary["total"] == summary["cases"]["loss"] >= 3
    messages = [failure["message"] for failure in summary["failures"]]
    assert messages[:2] == ["a", "the process ended with SIGABRT"]
    said = capsys.readouterr().out
    assert "python -m tests.differential --kind loss --case '{\"n\": 2}'" in said


def test_one_case_can_be_checked_again(capsys):
    case = {
        "n": 0,
        "size": [1, 1],
        "c": 1,
        "dtype": "float32",
        "mode": "plain",
        "cores": 1,
        "padding": [0, 0],
        "cut": [0, 0],
    }
    words = {"values": "normal", "layout": "steps", "seed": 0}
    assert main(["--kind", "arrangement", "--case", json.dumps(case | {"maps": [words, words]})]) == 0
    assert capsys.readouterr().out == "ok\n"
