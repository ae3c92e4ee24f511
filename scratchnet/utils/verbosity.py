"""Whether a command prints its lines for people and its progress (the flags ``--quiet`` and ``--json``)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SAYS = ContextVar("says", default=True)
_SHOWS_PROGRESS = ContextVar("shows_progress", default=True)


def says() -> bool:
    """Return whether lines for people are printed."""
    return _SAYS.get()


def shows_progress() -> bool:
    """Return whether the progress of long steps is shown."""
    return _SHOWS_PROGRESS.get()


@contextmanager
def verbosity(*, lines: bool, progress: bool) -> Iterator[None]:
    """Print lines for people, and the progress of long steps, or leave them out inside this context."""
    tokens = _SAYS.set(lines), _SHOWS_PROGRESS.set(progress)
    try:
        yield
    finally:
        _SAYS.reset(tokens[0])
        _SHOWS_PROGRESS.reset(tokens[1])
