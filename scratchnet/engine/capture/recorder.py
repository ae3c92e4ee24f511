"""The recorder: appends calls to a program whose arrays live in the recorder's own memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture.active_recorder import activate
from scratchnet.engine.capture.detached import detached
from scratchnet.engine.capture.program import Call, Program, Stage
from scratchnet.engine.capture.traced_array import TracedArray
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import allocate_from

T = TypeVar("T")
R = TypeVar("R")


class Recorder:
    """Records calls into a program.

    The arrays of the program live in an arena of the recorder. In a parallel stage each worker borrows memory from it
    for temporary arrays. Memory that one worker frees is not used by the others until the stage ends, because their
    chunks run one after the other during capture but at the same time in a replay.
    """

    def __init__(self) -> None:
        self.program = Program()
        self.arena = Arena(TracedArray)
        self._worker_arenas: list[Arena] = []
        self._calls: list[Call] | None = None  # of the chunk that is being recorded
        self._known: dict[Any, Array] = {}
        """Arrays of the calls so far: most calls use arrays of earlier calls, which then share one object."""

    @contextmanager
    def capture(self, program: Program) -> Iterator[None]:
        """Record all calls inside this block into ``program``."""
        self.program = program
        try:
            with activate(self), allocate_from(self.arena):
                yield
        finally:
            self._known.clear()

    def record(self, function: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
        """Record one call."""
        call = partial(function, *map(self._detached, arguments), **{k: self._detached(v) for k, v in settings.items()})
        if self._calls is None:
            self.program.add(call)
        else:
            self._calls.append(call)

    def _detached(self, value: Any) -> Any:
        """Return an argument as the call stores it."""
        if not isinstance(value, np.ndarray):
            return detached(value)
        key = value.__array_interface__["data"][0], value.shape, value.strides, value.dtype
        if key not in self._known:
            self._known[key] = detached(value)
        return self._known[key]

    def record_parallel(self, function: Callable[[Sequence[T]], R], chunks: list[Sequence[T]]) -> list[R]:
        """Run the chunks one after the other, recording a list of calls for each."""
        stage: Stage = []
        results = []
        missing = range(len(self._worker_arenas), len(chunks))
        self._worker_arenas += [Arena(TracedArray, self.arena) for _ in missing]
        self._collect()
        for arena, chunk in zip(self._worker_arenas, chunks, strict=False):
            self._calls = []
            try:
                with allocate_from(arena):
                    results.append(function(chunk))
                stage.append(self._calls)
            finally:
                self._calls = None
        self._collect()
        self.program.stages.append(stage)
        return results

    def _collect(self) -> None:
        """Make the memory that was freed by any worker available to all."""
        for arena in self._worker_arenas:
            arena.give_back()
        self.arena.collect()
