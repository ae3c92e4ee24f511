"""Every exercise: its solution is right, its data tell every planted mistake apart, its stub is a stub."""

import ast
from pathlib import Path

import numpy as np
import pytest

from scratchnet.exercises import State, all_exercises
from scratchnet.exercises.referee import check_answers
from scratchnet.exercises.stubs import BODY, solution_file, stub_file
from tests.exercises.answers import answers

EXERCISES = all_exercises()
MISTAKES = [
    pytest.param(exercise, mistake, id=f"{exercise.name}-{i}")
    for exercise in EXERCISES.values()
    for i, mistake in enumerate(exercise.mistakes)
]


@pytest.fixture(params=EXERCISES)
def exercise(request):
    return EXERCISES[request.param]


def test_a_name_without_its_number_is_unique():
    words = [name.partition("_")[2] for name in EXERCISES]
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_solution_is_right(exercise, seed):
    verdict = check_answers(exercise, answers(exercise), seed)
    assert (verdict.state, verdict.sentences) == (State.RIGHT, ())
    assert verdict.checked >= len(exercise.functions)


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_planted_mistake_is_caught_with_its_sentence(exercise, mistake, seed):
    for name, function in mistake.functions.items():
        verdict = check_answers(exercise, answers(exercise, **{name: function}), seed)
        assert verdict.state is State.WRONG, name
        assert verdict.sentences[0].startswith(name)
        assert f"Likely cause: {mistake.cause}" in verdict.sentences, verdict.sentences


def test_an_exercise_is_complete(exercise):
    assert len(exercise.mistakes) >= 3
    assert len({mistake.cause for mistake in exercise.mistakes}) == len(exercise.mistakes)
    assert exercise.hints
    assert exercise.lesson >= 1
    called = {case.function for case in exercise.cases(np.random.default_rng(0))}
    assert called == set(exercise.solution)
    for mistake in exercise.mistakes:
        assert set(mistake.functions) <= called
        assert mistake.cause.endswith(".")


def test_random_data_are_asymmetric(exercise):
    """No array of a random case is square in its first two axes alone by chance of design: one case differs."""
    for name in exercise.solution:
        cases = [case for case in exercise.cases(np.random.default_rng(0)) if case.function == name]
        assert len(cases) >= 2, name
        assert len({case.description for case in cases}) == len(cases), name


def test_the_stub_has_all_functions_and_no_body(exercise):
    tree = ast.parse(stub_file(exercise))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions] == list(exercise.solution)
    for node in functions:
        assert ast.get_docstring(node)
        assert [ast.unparse(part) for part in node.body[1:]] == [ast.unparse(ast.parse(BODY))]
    assert max(map(len, stub_file(exercise).splitlines())) <= 120
    exec(compile(tree, exercise.name, "exec"), {})


def test_the_solution_can_be_shown(exercise):
    tree = ast.parse(solution_file(exercise))
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == list(exercise.solution)


@pytest.mark.parametrize("lesson", sorted({exercise.lesson for exercise in EXERCISES.values()}))
def test_the_lesson_names_the_command(lesson):
    (path,) = (Path(__file__).parents[2] / "lessons").glob(f"{lesson:02d}_*.py")
    section = path.read_text(encoding="utf-8").partition("# Exercises\n# ---------\n")[2]
    for action in ("start", "check"):
        assert f"``scratchnet exercise {action} {lesson}``" in section
