"""The result of a capture: lists of calls."""

from collections.abc import Callable, Iterator
from typing import Any

Call = Callable[[], Any]
Stage = list[list[Call]]
"""Calls between two synchronisations of the workers: one list for each worker."""


class CannotCapture(RuntimeError):
    """A computation depends on its values in a way that a replay could not repeat."""

    step = ""
    """Name of the network's step in which this was detected."""


def failure_reason(error: Exception) -> tuple[str, str]:
    """Return the step in which a capture failed, "" if it is unknown, and the reason."""
    reason = str(error) if isinstance(error, CannotCapture) else f"{type(error).__name__}: {error}"
    return getattr(error, "step", ""), reason


class Program:
    """Stages of calls that are made one stage after the other."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    def count(self) -> int:
        """Return the number of calls of all workers."""
        return sum(len(calls) for stage in self.stages for calls in stage)

    def is_parallel(self) -> bool:
        """Return whether a stage has calls for more than one worker."""
        return any(len(stage) > 1 for stage in self.stages)

    def calls(self) -> Iterator[Call]:
        """Yield all calls in an order in which a single worker may make them."""
        for stage in self.stages:
            for calls in stage:
                yield from calls

    def run(self) -> None:
        """Make all calls in this thread."""
        for call in self.calls():
            call()

    def add(self, call: Call) -> None:
        """Append a call that one worker makes while the others wait."""
        if not self.stages or len(self.stages[-1]) > 1:
            self.stages.append([[]])
        self.stages[-1][0].append(call)
