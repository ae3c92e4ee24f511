"""What a forked child does first: it has one thread, and memory that it must not share unasked.

``multiprocessing`` forks on Linux before Python 3.14, and so do pools and data loaders that build on it. The child is a
copy of its parent with two differences: of the threads only the one that forked lives on, and memory that is marked as
shared is the parent's own. Modules that keep threads, locks or such memory say here how to start again. The worker
processes of a replay are forked *to* share memory; :func:`sharing` is for them.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FUNCTIONS: list[Callable[[], None]] = []
_SHARING = ContextVar("sharing", default=False)


def in_every_child(function: Callable[[], None]) -> Callable[[], None]:
    """Call ``function`` in every child that this process forks, except inside :func:`sharing`."""
    _FUNCTIONS.append(function)
    return function


@contextmanager
def sharing() -> Iterator[None]:
    """Let children that are forked inside this block keep their parent's memory and settings."""
    token = _SHARING.set(True)
    try:
        yield
    finally:
        _SHARING.reset(token)


def _start_again() -> None:
    if not _SHARING.get():
        for function in _FUNCTIONS:
            function()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_again)
