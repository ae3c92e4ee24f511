"""The recorder: writes calls into a program, whose arrays live in memory of its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture.detached import detached
from scratchnet.engine.capture.program import Call, Program, Stage
from scratchnet.engine.capture.traced_array import TracedArray
from scratchnet.engine.capture.writer import at_work
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import allocate_from

T = TypeVar("T")
R = TypeVar("R")


class Recorder:
    """Writes calls into a program.

    The arrays of the program live in memory of its own: one workspace for what all threads see, one for the scratch of
    each thread, so that two threads never share a scratch array that was used one after the other while recording.
    """

    def __init__(self) -> None:
        self.program = Program()
        self.spaces = [Arena(TracedArray)]
        self._calls: list[Call] | None = None  # of the share that is being recorded
        self._known: dict[Any, Array] = {}
        """The arrays of the calls so far: most are those of an earlier call, and one object serves them all."""

    @contextmanager
    def writing(self, program: Program) -> Iterator[None]:
        """Record everything inside this block into ``program``."""
        self.program = program
        try:
            with at_work(self), allocate_from(self.spaces[0]):
                yield
        finally:
            self._known.clear()

    def write(self, function: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
        """Note down one call."""
        call = partial(function, *map(self._detached, arguments), **{k: self._detached(v) for k, v in settings.items()})
        if self._calls is None:
            self.program.add(call)
        else:
            self._calls.append(call)

    def _detached(self, value: Any) -> Any:
        """Return the value for a call to keep."""
        if not isinstance(value, np.ndarray):
            return detached(value)
        place = value.__array_interface__["data"][0], value.shape, value.strides, value.dtype
        if place not in self._known:
            self._known[place] = detached(value)
        return self._known[place]

    def record_parallel(self, function: Callable[[Sequence[T]], R], chunks: list[Sequence[T]]) -> list[R]:
        """Run the chunks one after the other, recording a list of calls for each."""
        stage: Stage = []
        results = []
        for k, chunk in enumerate(chunks, 1):
            self._calls = []
            if len(self.spaces) <= k:
                self.spaces.append(Arena(TracedArray))
            try:
                with allocate_from(self.spaces[k]):
                    results.append(function(chunk))
                stage.append(self._calls)
            finally:
                self._calls = None
        self.program.stages.append(stage)
        return results
