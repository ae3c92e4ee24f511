"""Look on while the steps of a network run: for a check that must say which step went wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from scratchnet.network.step import Step

Watcher: TypeAlias = Callable[[Step, Any], None]
"""Takes a step and what its forward or backward pass returned."""

_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


def watcher() -> Watcher | None:
    """Return who looks on, if anybody does."""
    return _WATCHER.get()


@contextmanager
def watched_by(watch: Watcher) -> Iterator[None]:
    """Call ``watch`` after every step inside this block."""
    token = _WATCHER.set(watch)
    try:
        yield
    finally:
        _WATCHER.reset(token)
