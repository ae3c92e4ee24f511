"""Answers to exercises that run in this process, as the referee calls them."""

import numpy as np


class Answers:
    """Stands in for a student's process: calls functions directly."""

    output = ""

    def __init__(self, functions):
        self.functions = functions

    def call(self, function, *arguments):
        with np.errstate(all="ignore"):
            return self.functions[function](*arguments)


def answers(exercise, **wrong):
    """Return the solution with some functions exchanged."""
    return Answers(exercise.solution | wrong)
