"""What comes out of a recording: lists of calls."""

from collections.abc import Callable, Iterator
from typing import Any

Call = Callable[[], Any]
Stage = list[list[Call]]
"""What the threads do between two meetings: a list of calls each."""


class CannotCapture(RuntimeError):
    """A computation depends on its numbers in a way that a replay could not follow."""

    step = ""
    """Name of the step of the network in which that was noticed."""


def reason_of(error: Exception) -> tuple[str, str]:
    """Return the step in which a recording failed, "" where that is not known, and why."""
    said = str(error) if isinstance(error, CannotCapture) else f"{type(error).__name__}: {error}"
    return getattr(error, "step", ""), said


class Program:
    """Sections of calls, to be made one section after the other."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    def count(self) -> int:
        """Return the number of calls, of all threads."""
        return sum(len(calls) for stage in self.stages for calls in stage)

    def calls(self) -> Iterator[Call]:
        """Yield all calls in an order in which one thread may make them."""
        for stage in self.stages:
            for calls in stage:
                yield from calls

    def add(self, call: Call) -> None:
        """Append a call that one thread makes while the others wait."""
        if not self.stages or len(self.stages[-1]) > 1:
            self.stages.append([[]])
        self.stages[-1][0].append(call)
