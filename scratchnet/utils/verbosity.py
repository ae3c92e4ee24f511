"""Output of a command: its lines for people, its progress (the flags ``--quiet`` and ``--json``) and its warnings."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tqdm import tqdm

_SAYS = ContextVar("says", default=True)
_SHOWS_PROGRESS = ContextVar("shows_progress", default=True)
_WARNINGS: ContextVar[list[str] | None] = ContextVar("warnings", default=None)


def says() -> bool:
    """Return whether lines for people are printed."""
    return _SAYS.get()


def shows_progress() -> bool:
    """Return whether the progress of long steps is shown."""
    return _SHOWS_PROGRESS.get()


def warn(text: str) -> None:
    """Print "warning: …" on stderr, above the progress bars, and keep it for `warnings_so_far`."""
    if (found := _WARNINGS.get()) is not None:
        found.append(text)
    with tqdm.external_write_mode(file=sys.stderr):
        print(f"warning: {text}", file=sys.stderr, flush=True)


def warnings_so_far() -> list[str]:
    """Return the warnings inside this `verbosity`, each one once."""
    return list(dict.fromkeys(_WARNINGS.get() or ()))


@contextmanager
def verbosity(*, lines: bool, progress: bool) -> Iterator[None]:
    """Print lines for people, and the progress of long steps, or leave them out inside this context."""
    tokens = _SAYS.set(lines), _SHOWS_PROGRESS.set(progress), _WARNINGS.set([])
    try:
        yield
    finally:
        _SAYS.reset(tokens[0])
        _SHOWS_PROGRESS.reset(tokens[1])
        _WARNINGS.reset(tokens[2])
