"""Answers to exercises that run in this process, as the referee calls them."""

import numpy as np


class Answers:
    """Stands in for a student's process: calls functions directly."""

    output = ""

    def __init__(self, exercise, wrong):
        self.exercise, self.wrong = exercise, wrong

    def call(self, function, *arguments):
        with np.errstate(all="ignore"):
            return self.exercise.call_solution(function, arguments, **self.wrong)


def answers(exercise, **wrong):
    """Return the solution with some functions exchanged."""
    return Answers(exercise, wrong)
