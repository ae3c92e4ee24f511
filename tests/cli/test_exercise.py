"""`scratchnet exercise`: a student's way from stubs to right answers, and a class that is graded."""

import csv
import json
import threading

import pytest

from scratchnet.exercises import find_exercise
from scratchnet.exercises.stubs import solution_file

HEAD = "import numpy as np\nArray = np.ndarray\n\n\n"


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "work"


def solved(name):
    (exercise,) = find_exercise(name)
    return HEAD + solution_file(exercise)


def listed(output, name):
    """Return the words after an exercise's name in the list."""
    (line,) = [line for line in output.splitlines() if line.startswith(f"{name} ")]
    return line.removeprefix(name).strip()


def test_a_students_way(call, work):
    code, said, _ = call("exercise")
    assert code == 0
    assert listed(said, "07_switches") == "Max-pooling with switches"
    assert said.splitlines()[-1].startswith("0 of ")

    code, said, _ = call("exercise", "start", "7")
    assert code == 0
    path = work / "07_switches.py"
    assert f"{path.relative_to(work.parent)}: Max-pooling with switches" in said
    assert 'raise NotImplementedError("write this function")' in path.read_text(encoding="utf-8")

    code, said, _ = call("exercise", "check", "7")
    assert code == 1
    assert said.count("not written yet\n") >= 4

    path.write_text(solved("switches").replace("window.argmax()", "k * k - 1 - window.ravel()[::-1].argmax()"), "utf-8")
    code, said, _ = call("exercise", "check", "switches", "--hint")
    assert code == 1
    assert "Likely cause: The last of equal maxima wins in yours; the rule is the first." in said
    assert said.count("hint: ") == 1
    assert (work / "07_switches.png").stat().st_size > 1000
    assert call("exercise", "check", "switches", "--hint")[1].count("hint: ") == 2

    code, said, _ = call("exercise", "check", "switches", "--solution")
    assert code == 0
    assert "switches[o, q] = window.argmax()" in said

    path.write_text(solved("switches"), "utf-8")
    assert call("exercise", "check", path)[:2] == (0, f"{path}: right (5 cases)\n")
    code, said, _ = call("exercise")
    assert listed(said, "07_switches") == "Max-pooling with switches  [right, 3 tries]"
    assert said.splitlines()[-1].startswith("1 of ")


def test_answers_are_never_replaced(call, work):
    call("exercise", "start", "switches")
    (work / "07_switches.py").write_text("mine", "utf-8")
    code, said, _ = call("exercise", "start", "7")
    assert code == 0
    assert "07_switches.py: exists and is kept" in said
    assert (work / "07_switches.py").read_text("utf-8") == "mine"


def test_a_class_is_graded(call, work, tmp_path):
    texts = {
        "ada": {"switches": solved("switches"), "unpooling": solved("unpooling")},
        "=ben": {"switches": "def max_pool(x, k):\n    return x\n"},
        "cleo": {"unpooling": "syntax error"},
        "dan": {},
        "eve": {"switches": "import os\nos._exit(1)"},
    }
    for student, files in texts.items():
        (tmp_path / "class" / student / "work").mkdir(parents=True)
        for name, text in files.items():
            (tmp_path / "class" / student / "work" / f"07_{name}.py").write_text(text, "utf-8")
    code, said, _ = call("exercise", "grade", "class", "--out", "marks.csv", "--lessons", "7")
    assert code == 0
    assert "ada: 2 right of 2 handed in" in said
    rows = list(csv.reader((tmp_path / "marks.csv").read_text("utf-8-sig").splitlines()))
    assert rows[0][:4] == ["student", "07_switches", "07_unpooling", "total"]
    marks = {row[0]: row[1:4] for row in rows[1:]}
    assert marks == {
        "ada": ["1", "1", "2"],
        "'=ben": ["0", "", "0"],
        "cleo": ["", "0", "0"],
        "dan": ["", "", "0"],
        "eve": ["0", "", "0"],
    }
    assert "SyntaxError" in rows[3][4] or "SyntaxError" in rows[2][4]
    assert call("exercise", "grade", "class", "--out", "marks.csv", "--lessons", "7")[0] == 0  # its own table
    (tmp_path / "marks.csv").write_text("somebody's", "utf-8")
    assert call("exercise", "grade", "class", "--out", "marks.csv", "--lessons", "7")[0] == 2


def test_watching_checks_again_at_every_save(call, work, monkeypatch):
    call("exercise", "start", "switches")
    path, saved = work / "07_switches.py", threading.Event()

    def sleep(seconds):
        if saved.is_set():
            raise KeyboardInterrupt
        path.write_text(solved("switches"), "utf-8")
        saved.set()

    monkeypatch.setattr("scratchnet.cli.exercise.time.sleep", sleep)
    code, said, _ = call("exercise", "check", "switches", "--watch")
    assert code == 130
    assert "not written yet" in said
    assert "right (5 cases)" in said


WRONG = {
    ("exercise", "chek"): "'exercise chek' is no command; did you mean check?",
    ("exercise", "start", "99"): "lesson 99: has no exercises to check",
    ("exercise", "start", "swiches"): "'swiches' is no exercise",
    ("exercise", "check"): "work: holds no answers",
    ("exercise", "check", "switches"): "no such file; `scratchnet exercise start 07_switches` writes the stub",
    ("exercise", "check", "other.py"): "'other' is no exercise",
    ("exercise", "grade", "nothing"): "nothing: no such folder",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_words(call, work, words):
    code, said, err = call(*words)
    assert (code, said) == (2, "")
    assert WRONG[words] in err


def test_a_damaged_file_of_progress(call, work):
    work.mkdir()
    for text in ("{", "[]", '{"exercises": {"a": {"b": 1}}}', json.dumps({"exercises": [1]})):
        (work / "progress.json").write_text(text, "utf-8")
        code, _, err = call("exercise")
        assert (code, "is damaged" in err) == (2, True)
