"""Answers that are networks, in a student's process."""

import re

import numpy as np
import pytest

from scratchnet.exercises import State, all_exercises, check_file, find_exercise
from scratchnet.exercises.networks import values_for
from scratchnet.exercises.stubs import BODY, solution_file, stub_file

NETWORKS = [name for name, exercise in all_exercises().items() if exercise.inside]


def answer(exercise):
    """Return the stub's head with the solution's functions."""
    head = stub_file(exercise)
    return head[: re.search(r"^Array = np.ndarray\n", head, re.MULTILINE).end()] + "\n\n" + solution_file(exercise)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_stubs_imports_are_enough_for_the_solution(tmp_path, name):
    exercise = all_exercises()[name]
    path = tmp_path / f"{name}.py"
    path.write_text(answer(exercise), encoding="utf-8")
    verdict = check_file(exercise, path)
    assert (verdict.state, verdict.sentences) == (State.RIGHT, ())


HEAD = "import numpy as np\nfrom scratchnet.layers import *\nfrom scratchnet.network import Network\n\n\n"
WRONG = {
    "return None": "fcn_head returns None; expected a Network",
    "return [1]": "fcn_head returns a list; expected a Network",
    "net = Network(channels)\n    net.add('pool', MaxPool2d(2))\n    return net": (
        "shapes has the keys ['input', 'pool',"
    ),
    "net = Network(channels)\n    net.add('pool', Conv2d(9, 2, 1))\n    return net": (
        "conv 1×1, 2: the input has 2 channels, expected 9"
    ),
    "return Network(channels)": "expected ['crop', 'input', 'pool'",
    BODY: "fcn_head is not written yet",
}


@pytest.mark.parametrize("body", WRONG, ids=range(len(WRONG)))
def test_a_wrong_network_gets_a_sentence(tmp_path, body):
    (exercise,) = find_exercise("13_fcn_head")
    path = tmp_path / "13_fcn_head.py"
    path.write_text(f"{HEAD}def fcn_head(channels, classes):\n    {body}\n", encoding="utf-8")
    verdict = check_file(exercise, path)
    assert verdict.state is not State.RIGHT
    assert WRONG[body] in " ".join(verdict.sentences)


def test_values_depend_on_the_name_and_the_shape_only():
    np.testing.assert_array_equal(values_for("a", (2, 3)), values_for("a", (2, 3)))
    assert not np.array_equal(values_for("a", (2, 3)), values_for("b", (2, 3)))
