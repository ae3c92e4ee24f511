"""Who is recording at the moment, for those that have something to note down."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Writer(Protocol):
    """What arrays and threads need of a :class:`Recorder <scratchnet.engine.capture.recorder.Recorder>`."""

    def write(self, function: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
        """Note down one call."""

    def record_parallel(self, function: Callable[[Sequence[T]], R], chunks: list[Sequence[T]]) -> list[R]:
        """Run the chunks one after the other, recording a list of calls for each."""


_WRITER: ContextVar[Writer | None] = ContextVar("writer", default=None)


def recorder() -> Writer | None:
    """Return the recorder at work, if any."""
    return _WRITER.get()


@contextmanager
def at_work(writer: Writer) -> Iterator[None]:
    """Let all calls inside this block go to ``writer``."""
    token = _WRITER.set(writer)
    try:
        yield
    finally:
        _WRITER.reset(token)


def write(function: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
    """Note a call down if a recorder is at work."""
    writer = _WRITER.get()
    if writer is not None:
        writer.write(function, *arguments, **settings)
