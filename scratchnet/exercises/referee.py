"""Check a student's file: compare every call with the solution, check gradients numerically, and name likely causes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from scratchnet.exercises.comparison import agreement, difference
from scratchnet.exercises.exercise import Case, Exercise, GradientCheck, Mistake
from scratchnet.exercises.numerical import gradient_fault
from scratchnet.exercises.student import StudentError, StudentProcess, Unwritten
from scratchnet.exercises.verdict import Picture, State, Verdict
from scratchnet.utils.input_files import check_regular_file


def check_file(exercise: Exercise, path: Path, seed: int = 0) -> Verdict:
    """Try a student's file.

    Parameters
    ----------
    exercise : Exercise
    path : Path
    seed : int
        Seed of the random data.

    Raises
    ------
    UserError
        If there is no such file.
    """
    check_regular_file(path, "a Python file")
    try:
        with StudentProcess(exercise, path) as student:
            verdict = check_answers(exercise, student, seed)
            return replace(verdict, output=student.output)
    except StudentError as error:  # the file cannot be imported
        return Verdict(exercise.name, State.WRONG, (str(error),))


class Student(Protocol):
    """The functions of a student's file."""

    def call(self, function: str, *arguments: Any) -> Any:
        """Return the result of one function."""


def check_answers(exercise: Exercise, student: Student, seed: int = 0) -> Verdict:
    """Compare a student's functions with the solution."""
    cases = list(exercise.cases(np.random.default_rng(seed)))
    verdict = _check_cases(exercise, cases, student)
    return _check_gradients(exercise, student, seed, verdict) if verdict.state is State.RIGHT else verdict


def _check_cases(exercise: Exercise, cases: Sequence[Case], student: Student) -> Verdict:
    """Compare all calls; report the first function that is wrong, with all its cases."""
    names = list(dict.fromkeys(case.function for case in cases))
    for name in names:
        own = [case for case in cases if case.function == name]
        results: list[Any] = []
        for case in own:
            try:
                results.append(student.call(name, *case.arguments))
            except Unwritten:
                return Verdict(exercise.name, State.UNWRITTEN, (f"{name} is not written yet",))
            except StudentError as error:
                return Verdict(exercise.name, State.WRONG, (f"{name} fails for {case.description}", str(error)))
        verdict = (_judge if name in exercise.judges else _compare)(exercise, own, results)
        if verdict is not None:
            return verdict
    return Verdict(exercise.name, State.RIGHT, (), len(cases))


def _judge(exercise: Exercise, cases: Sequence[Case], found: Sequence[Any]) -> Verdict | None:
    """Return a verdict if the judge of one function finds a fault."""
    for case, result in zip(cases, found, strict=True):
        if (fault := exercise.judges[case.function](result, case.truth)) is not None:
            sentence = f"{case.function} is wrong for {case.description}: {fault}"
            return Verdict(exercise.name, State.WRONG, (sentence,), len(cases))
    return None


def _compare(exercise: Exercise, cases: Sequence[Case], found: Sequence[Any]) -> Verdict | None:
    """Return a verdict if any result of one function is wrong."""
    name, names = cases[0].function, exercise.results.get(cases[0].function, ())
    expected = [exercise.call_solution(name, case.arguments) for case in cases]
    faults = [difference(f, e, exercise.tolerance, names) for f, e in zip(found, expected, strict=True)]
    wrong = [i for i, fault in enumerate(faults) if fault is not None]
    if not wrong:
        return None
    first = wrong[0]
    sentences = [f"{name} is wrong for {cases[first].description}: {faults[first]}"]
    right = [cases[i].description for i in range(len(cases)) if i not in wrong]
    if right:
        others = [cases[i].description for i in wrong]
        sentences.append(f"It is right for {_listed(right)}, and wrong for {_listed(others)}.")
    cause = _cause(exercise, cases, found)
    if cause is not None:
        sentences.append(f"Likely cause: {cause}")
    picture = _picture(found[first], expected[first], f"{name}, {cases[first].description}", exercise.tolerance)
    return Verdict(exercise.name, State.WRONG, tuple(sentences), len(cases), picture=picture)


def _cause(exercise: Exercise, cases: Sequence[Case], found: Sequence[Any]) -> str | None:
    """Return the cause of the known mistake that gives these very results, if there is one."""
    name = cases[0].function
    candidates = [mistake for mistake in exercise.mistakes if name in mistake.functions]
    fitting = [mistake.cause for mistake in candidates if _gives(exercise, mistake, cases, found)]
    return fitting[0] if fitting else None


def _gives(exercise: Exercise, mistake: Mistake, cases: Sequence[Case], found: Sequence[Any]) -> bool:
    """Return whether a mistake gives these very results."""

    def wrong(case: Case) -> Any:
        exchanged = {case.function: mistake.functions[case.function]}
        return exercise.call_solution(case.function, case.arguments, **exchanged)

    try:
        with np.errstate(all="ignore"):
            return all(
                difference(result, wrong(case), exercise.tolerance) is None
                for case, result in zip(cases, found, strict=True)
            )
    except Exception:  # a mistake may fail where the student's function does not
        return False


def _check_gradients(exercise: Exercise, student: Student, seed: int, verdict: Verdict) -> Verdict:
    """Compare the student's backward passes with numerical gradients of the student's forward passes."""
    for check in exercise.gradients:
        try:
            fault = gradient_fault(check, student.call, seed)
        except (StudentError, Unwritten) as error:
            fault = str(error)
        if fault is not None:
            return Verdict(exercise.name, State.WRONG, (_gradient_sentence(check, fault),), verdict.checked)
    return verdict


def _gradient_sentence(check: GradientCheck, fault: str) -> str:
    return f"{check.backward} does not give the gradient of {check.forward}: {fault}"


def _picture(found: Any, expected: Any, title: str, tolerance: float) -> Picture | None:
    """Return the arrays to draw if the first wrong part of a result is a map."""
    if isinstance(expected, tuple | list):
        if not isinstance(found, tuple | list):
            return None
        for part, right in zip(found, expected, strict=False):
            if (picture := _picture(part, right, title, tolerance)) is not None:
                return picture
        return None
    if not isinstance(expected, np.ndarray) or not isinstance(found, np.ndarray):
        return None
    if found.shape != expected.shape or expected.ndim < 2 or agreement(found, expected, tolerance).all():
        return None
    return Picture(found, expected, title)


def _listed(words: Sequence[str]) -> str:
    unique = list(dict.fromkeys(words))
    return " and ".join([", ".join(unique[:-1]), unique[-1]] if len(unique) > 1 else unique)
