"""Answers that are no arrays: functions inside the student's process, and judges outside it."""

import numpy as np
import pytest

from scratchnet.exercises import Case, Exercise, Mistake, State
from scratchnet.exercises.referee import check_answers
from scratchnet.exercises.stubs import stub_file
from tests.exercises.answers import answers


def fit(x):
    """Return a line through x as a function."""
    return lambda at: x[0] + (x[1] - x[0]) * at


def guess(x):
    """Return a number near the mean of x."""
    return float(np.mean(x))


def cases(rng):
    yield Case("fit", (rng.standard_normal(2),), "two points")
    yield Case("fit", (np.array([1.0, 3.0]),), "the case by hand")
    yield Case("guess", (np.array([1.0, 3.0]),), "two numbers", truth=2.0)


LINE = Exercise(
    "03_line",
    "A line",
    "Return a function.",
    (fit, guess),
    cases,
    (Mistake("Yours is constant.", {"fit": lambda x: lambda at: x[0] + 0 * at}),),
    inside={"fit": lambda module, x: module.fit(x)(np.arange(4.0))},
    judges={"guess": lambda found, truth: None if abs(found - truth) < 0.5 else f"{found} is far from {truth}"},
    imports="from scratchnet.network import Network",
)


def test_inside_turns_answer_solution_and_mistake_into_arrays():
    assert check_answers(LINE, answers(LINE)).state is State.RIGHT
    verdict = check_answers(LINE, answers(LINE, fit=lambda x: lambda at: x[0] + 0 * at))
    assert verdict.sentences[-1] == "Likely cause: Yours is constant."


@pytest.mark.parametrize(("offset", "state"), [(0.4, State.RIGHT), (0.6, State.WRONG)])
def test_a_judge_accepts_all_results_near_the_truth(offset, state):
    verdict = check_answers(LINE, answers(LINE, guess=lambda x: 2.0 + offset))
    assert verdict.state is state
    if state is State.WRONG:
        assert verdict.sentences == ("guess is wrong for two numbers: 2.6 is far from 2.0",)


def test_the_stub_imports_what_the_answer_needs():
    assert "\nimport numpy as np\n\nfrom scratchnet.network import Network\n\nArray = np.ndarray\n" in stub_file(LINE)
