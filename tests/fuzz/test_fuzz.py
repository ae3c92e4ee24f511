"""Some damaged inputs of every kind, the same in every run; ``python -m tests.fuzz`` has more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import running
from tests.fuzz.__main__ import main
from tests.fuzz.kinds import KINDS, RAN, Trial
from tests.fuzz.seeds import make_seeds
from tests.fuzz.trying import GOOD, attempt

INPUTS = {"masks": 150, "weights": 300, "configs": 300, "words": 150}


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scratchnet.visualization.report.figure_svg", lambda figure, text: f"<svg>{text}</svg>")
        return make_seeds(tmp_path_factory.mktemp("seeds"))


@pytest.mark.usefixtures("quick_reports")
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs_are_used_or_refused_in_one_line(kind, seeds, tmp_path):
    found = {}
    for number in range(INPUTS.get(kind, 80)):
        box = tmp_path / str(number)
        box.mkdir()
        outcome, message = attempt(kind, 0, number, seeds, box)
        found.setdefault(outcome, []).append((number, message))
    bad = {outcome: told for outcome, told in found.items() if outcome not in GOOD}
    assert not bad, "\n".join(f"{kind} {n}: {outcome}: {m}" for outcome, told in bad.items() for n, m in told[:3])
    assert set(found) == set(GOOD)  # the damage is neither too small nor too large


def complain():
    os.write(2, b"TIFFReadDirectory: a message of a library\n")


def fail():
    raise KeyError("x")


def need_memory():
    raise MemoryError


PLANTED = {
    "tracebacks": fail,
    "memory over 4 GB": need_memory,
    "other messages": complain,
    "files lost": lambda: Path("keep.txt").write_text("another text"),
    "programs run": lambda: Path(RAN).touch(),
}


@pytest.mark.parametrize("outcome", [*PLANTED, "files left", "wrong-size masks", "accepted"])
def test_planted_failures_are_found(outcome, monkeypatch, tmp_path):
    more = {
        "files left": Path(".a.png.0-1.part").touch,
        "accepted": lambda: None,
    }
    call = (PLANTED | more).get(outcome, lambda: None)
    judge = (lambda: "a mask of (1, 1)") if outcome == "wrong-size masks" else lambda: ""
    monkeypatch.setitem(KINDS, "masks", lambda rng, seeds, box: Trial([], call, judge))
    expected = {"files left": "files lost"}.get(outcome, outcome)
    assert attempt("masks", 0, 0, None, tmp_path)[0] == expected


CHILD = """
import json, os, pathlib, sys
print("what somebody else prints")
box = pathlib.Path(sys.argv[1])
for number, end in ((0, "accepted"), (1, "tracebacks"), (2, None)):
    (box / str(number)).mkdir()
    (box / str(number) / "input").write_text("damaged")
    print(json.dumps({"begin": number}), flush=True)
    if end is None:
        os.abort()
    print(json.dumps({"end": end, "message": "a message", "peak": 1 << 20}), flush=True)
"""


def test_the_command_counts_saves_and_tells_failures_and_crashes(monkeypatch, tmp_path, capsys):
    def start(kind, seed, number, jobs, folder):
        words = [sys.executable, "-c", CHILD, folder]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    monkeypatch.setattr(running, "_start", start)
    monkeypatch.setattr(running, "SHOWN", 1)
    words = ["weights", "--minutes", "0.008", "--save", str(tmp_path / "saved"), "--json", str(tmp_path / "found.json")]
    assert main(words) == 1
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["counts"]["weights"]["tracebacks"] >= 1
    assert found["failures"][1]["message"] == "the process ended with SIGABRT"
    assert (tmp_path / "saved" / "weights-0-1" / "input").read_text() == "damaged"
    said = capsys.readouterr().out
    assert f"python -m tests.fuzz weights --seed 0 --input 1 ({tmp_path / 'saved' / 'weights-0-1'})" in said
    assert "hangs over 60 s 0" in said


def test_a_hang_is_a_failure(monkeypatch, tmp_path):
    def start(kind, seed, number, jobs, folder):
        code = "import time; print('{\"begin\": 0}', flush=True); time.sleep(60)"
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(running, "_start", start)
    monkeypatch.setattr(running, "PATIENCE", 0.2)
    findings = running.run(["words"], 0.008, 0, 1, tmp_path, lambda text: None)
    assert findings.counts["words"]["hangs over 60 s"] >= 1


@pytest.mark.usefixtures("quick_reports")
def test_one_input_can_be_tried_again(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(tmp_path))
    assert main(["masks", "--seed", "0", "--input", "3"]) == 0
    assert "masks 3: " in capsys.readouterr().out
