"""Call a function after every step of a network, for checks that must name the step at fault."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from scratchnet.network.step import Step

Watcher: TypeAlias = Callable[[Step, Any], None]
"""Receives a step and the result of its forward or backward pass."""

_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


def watcher() -> Watcher | None:
    """Return the current watcher, if there is one."""
    return _WATCHER.get()


@contextmanager
def watched_by(watch: Watcher) -> Iterator[None]:
    """Call ``watch`` after every step inside this block."""
    token = _WATCHER.set(watch)
    try:
        yield
    finally:
        _WATCHER.reset(token)
