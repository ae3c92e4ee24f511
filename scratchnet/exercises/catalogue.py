"""The list of all exercises."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec

from scratchnet.exercises.exercise import Exercise
from scratchnet.utils.errors import UserError
from scratchnet.utils.spelling import closest_name

LESSONS = range(1, 100)


@cache
def all_exercises() -> dict[str, Exercise]:
    """Return every exercise by its name, in the order of the lessons."""
    found: dict[str, Exercise] = {}
    for lesson in LESSONS:
        module = f"{__package__}.lesson_{lesson:02d}"
        if find_spec(module) is not None:
            found |= {exercise.name: exercise for exercise in import_module(module).EXERCISES}
    return found


def exercises_of_lesson(lesson: int) -> list[Exercise]:
    """Return the exercises of one lesson."""
    return [exercise for exercise in all_exercises().values() if exercise.lesson == lesson]


def find_exercise(word: str) -> list[Exercise]:
    """Return the exercises that a word names: a lesson's number, or an exercise's name with or without the number.

    Raises
    ------
    UserError
        If there are none.
    """
    if word.isdecimal():
        if found := exercises_of_lesson(int(word)):
            return found
        lessons = sorted({exercise.lesson for exercise in all_exercises().values()})
        raise UserError(
            f"lesson {word}: has no exercises to check; lessons with exercises: {', '.join(map(str, lessons))}"
        )
    name = word.removesuffix(".py")
    for exercise in all_exercises().values():
        if name in (exercise.name, exercise.name.partition("_")[2]):
            return [exercise]
    guess = closest_name(name, all_exercises())
    raise UserError(f"'{word}' is no exercise{guess}; `scratchnet exercise` lists them")
