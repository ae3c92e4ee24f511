"""A student's file in its process: everything that can go wrong gets a sentence."""

import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from scratchnet.exercises import State, check_file, find_exercise
from scratchnet.exercises.comparison import difference
from scratchnet.exercises.drawing import draw_difference
from scratchnet.exercises.stubs import solution_file, stub_file
from scratchnet.exercises.student import StudentError, StudentProcess
from scratchnet.exercises.verdict import Picture
from scratchnet.utils.errors import UserError
from tests.processes import alive

(POOLING,) = find_exercise("07_switches")
HEAD = "import numpy as np\nArray = np.ndarray\n\n\n"
RIGHT = HEAD + solution_file(POOLING)


@pytest.fixture
def check(tmp_path):
    def checked(text, exercise=POOLING):
        path = tmp_path / f"{exercise.name}.py"
        path.write_text(text, encoding="utf-8")
        return check_file(exercise, path)

    return checked


def test_a_right_answer(check):
    verdict = check(RIGHT)
    assert (verdict.state, verdict.sentences, verdict.checked) == (State.RIGHT, (), 5)


def test_the_stub_is_not_written_yet(check):
    verdict = check(stub_file(POOLING))
    assert (verdict.state, verdict.sentences) == (State.UNWRITTEN, ("max_pool is not written yet",))


WRONG = {
    "def max_pool(x, k)\n    return x\n": "line 1: SyntaxError: expected ':'",
    "import nothing_like_it\n": "line 1, in <module>: ModuleNotFoundError: No module named 'nothing_like_it'",
    "def pool(x, k):\n    return x\n": "the file defines no function max_pool; keep the names and arguments",
    "def max_pool(x):\n    return x\n": "TypeError: max_pool() takes 1 positional argument but 2 were given",
    "def max_pool(x, k):\n    pass\n": "max_pool returns None; is a return statement missing?",
    "def max_pool(x, k):\n    x[0, 0] = 1\n    return x, x\n": "max_pool changes its arguments; work on a copy",
    "def max_pool(x, k):\n    return x[9, 9]\n": "line 2, in max_pool: IndexError: index 9 is out of bounds",
    "def max_pool(x, k):\n    return max_pool(x, k)\n": "RecursionError: the function calls itself without end",
    "def max_pool(x, k):\n    return object()\n": "max_pool returns a object; expected arrays or numbers",
    "import sys\nsys.exit()\n": "the file ends the program (SystemExit); remove exit() or sys.exit()",
    "import os\nos._exit(3)\n": "the process of the file ended (exit code 3)",
    "def max_pool(x, k):\n    return x\n": "the function returns one value, expected 2: y, switches",
    "def max_pool(x, k):\n    return x[:2], x\n": "y has shape (2, 4), expected (2, 2)",
    "def max_pool(x, k):\n    return input()\n": "EOFError",
    "def max_pool(x, k):\n    return bytearray(1 << 40)\n": "MemoryError",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_everything_that_goes_wrong_gets_a_sentence(check, text):
    verdict = check(text)
    assert verdict.state is State.WRONG
    assert WRONG[text] in verdict.sentences[-1]


def test_an_endless_loop_is_ended(check):
    verdict = check("def max_pool(x, k):\n    while True:\n        pass\n", replace(POOLING, time_limit=0.5))
    assert verdict.sentences[-1] == "max_pool took longer than 0.5 s; is there a loop that does not end?"


def test_what_the_code_prints_is_kept_within_bounds(check):
    verdict = check("def max_pool(x, k):\n    print('looking at', x.shape)\n    return x, x\n")
    assert "looking at (4, 4)" in verdict.output
    verdict = check("print('x' * 100 + '\\n', end='') \nfor _ in range(5000): print('y' * 100)\n" + RIGHT)
    assert verdict.state is State.RIGHT
    assert len(verdict.output) < 20_000


def test_a_wrong_map_is_drawn_with_the_right_one(check):
    verdict = check(RIGHT.replace("window.max()", "window.min()"))
    assert verdict.picture is not None
    assert verdict.picture.found.shape == verdict.picture.expected.shape == (2, 2)
    assert verdict.sentences[0] == (
        "max_pool is wrong for the case by hand: y[0, 0] is 2, expected 9 (4 of 4 entries differ)"
    )


def test_a_map_is_drawn_in_arrays_of_any_shape(tmp_path):
    places = {(2, 3): "", (4, 3, 2): "[:, :, 1]", (3, 4, 5, 2): "[2, :, :, 1]", (2, 3, 4, 5, 6): "[1, :, :, 4, 5]"}
    for shape, words in places.items():
        found, expected = np.zeros(shape), np.zeros(shape)
        found.flat[-1] = np.nan
        assert draw_difference(Picture(found, expected, "y"), tmp_path / "picture.png", 1e-9) == words
        assert (tmp_path / "picture.png").stat().st_size > 1000


def test_right_for_some_cases_only(check):
    verdict = check(RIGHT.replace("[k * o : k * (o + 1)", "[2 * o : 2 * o + 2"))
    assert verdict.sentences[1].startswith("It is right for the case by hand")
    assert verdict.sentences[1].endswith("and wrong for windows of 3×3.")


def test_a_missing_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        check_file(POOLING, tmp_path / "nothing.py")


def test_values_travel_unchanged(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("def max_pool(*given):\n    return [given, {'a': given[0], 'b': None, 'c': True, 'd': 1.5}, 'é']\n")
    values = (np.arange(6, dtype=np.float32).reshape(2, 3), np.float64(0.1), np.array(3, np.uint8), 2, -0.0, "text")
    with StudentProcess(POOLING, path) as student:
        given, table, word = student.call("max_pool", *values)
    for value, back in zip(values, given, strict=True):
        assert type(value) is type(back)
        np.testing.assert_array_equal(value, back)
        assert getattr(value, "dtype", None) == getattr(back, "dtype", None)
    assert (table["b"], table["c"], table["d"], word) == (None, True, 1.5, "é")
    np.testing.assert_array_equal(table["a"], values[0])


def test_no_process_is_left(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(RIGHT)
    with StudentProcess(POOLING, path) as student:
        pass
    assert student._process.poll() is not None
    with pytest.raises(StudentError):
        student.call("max_pool", np.zeros((2, 2)), 2)


def test_output_without_an_end_is_bounded(check):
    text = "import sys\ndef max_pool(x, k):\n    while True:\n        sys.stdout.write('x' * 100_000)\n"
    verdict = check(text, replace(POOLING, time_limit=0.5))
    assert "took longer than 0.5 s" in verdict.sentences[-1]
    assert len(verdict.output) < 20_000


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_processes_that_the_code_starts_end_with_it(check, tmp_path):
    sleeper = f"[{sys.executable!r}, '-c', 'import time; time.sleep(60)']"
    text = f"import subprocess\nchild = subprocess.Popen({sleeper})\nprint(child.pid, flush=True)\n" + RIGHT
    begin = time.monotonic()
    verdict = check(text)
    assert (verdict.state, verdict.sentences) == (State.RIGHT, ())
    assert time.monotonic() - begin < 30
    pid, end = int(verdict.output.split()[0]), time.monotonic() + 10
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not alive(pid)


@pytest.mark.parametrize("expected", [True, "text", None, np.zeros((2, 2)), 1.5])
@pytest.mark.parametrize("found", [np.zeros((2, 3)), 10**400, "word", [[1], [1, 2]], {"a": 1}, None])
def test_any_two_values_can_be_compared(found, expected):
    assert (difference(found, expected, 1e-9) is None) == (found is None and expected is None)


def test_a_difference_reads_as_a_sentence_and_has_no_negative_zero():
    found, expected = np.array([[1.0, 5.0]]), np.array([[1.0, -0.0]])
    assert difference(found, expected, 1e-9) == "the result at [0, 1] is 5, expected 0 (1 of 2 entries differ)"
    both = difference((found, found), (found, expected), 1e-9, ("dx", "dy"))
    assert both == "dy[0, 1] is 5, expected 0 (1 of 2 entries differ)"
