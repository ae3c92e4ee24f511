"""Exercises that check themselves: stubs for a student, data to try the answers on, and sentences about what is wrong.

Every lesson has a module (``lesson_07``) with a tuple ``EXERCISES``. An exercise holds its solution as ordinary
functions, from which the stub is cut; calls to try, beginning with a case that can be computed by hand; and known wrong
answers with their causes. A student's file runs in a process of its own (``student``); ``referee`` compares and
explains.
"""

from scratchnet.exercises.catalogue import all_exercises, exercises_of_lesson, find_exercise
from scratchnet.exercises.exercise import Case, Exercise, GradientCheck, Mistake
from scratchnet.exercises.referee import check_file
from scratchnet.exercises.verdict import State, Verdict

__all__ = [
    "Case",
    "Exercise",
    "GradientCheck",
    "Mistake",
    "State",
    "Verdict",
    "all_exercises",
    "check_file",
    "exercises_of_lesson",
    "find_exercise",
]
