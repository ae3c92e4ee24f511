"""The recorder that is active at the moment, for the code whose calls it records."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class CallRecorder(Protocol):
    """The methods of a :class:`Recorder <scratchnet.engine.capture.recorder.Recorder>` that arrays and threads use."""

    def record(self, function: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
        """Record one call."""

    def record_parallel(self, function: Callable[[Sequence[T]], R], chunks: list[Sequence[T]]) -> list[R]:
        """Run the chunks one after the other, recording a list of calls for each."""


_RECORDER: ContextVar[CallRecorder | None] = ContextVar("recorder", default=None)


def active_recorder() -> CallRecorder | None:
    """Return the active recorder, or None."""
    return _RECORDER.get()


@contextmanager
def activate(recorder: CallRecorder) -> Iterator[None]:
    """Record all calls inside this block with ``recorder``."""
    token = _RECORDER.set(recorder)
    try:
        yield
    finally:
        _RECORDER.reset(token)


def record(function: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
    """Record a call if a recorder is active."""
    recorder = _RECORDER.get()
    if recorder is not None:
        recorder.record(function, *arguments, **settings)
