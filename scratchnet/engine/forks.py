"""Functions that run first in a forked child, which has a single thread and must not share its parent's memory.

``multiprocessing`` forks on Linux before Python 3.14, and so do pools and data loaders based on it. The child is a copy
of its parent with two differences: it has only the thread that forked, and memory marked as shared still belongs to the
parent. Modules that keep threads, locks or such memory register here how to reset them. The worker processes of a
capture are forked *to* share memory, with :func:`share_with_children`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FUNCTIONS: list[Callable[[], None]] = []
_SHARING = ContextVar("sharing", default=False)


def after_fork_in_child(function: Callable[[], None]) -> Callable[[], None]:
    """Call ``function`` in every child that this process forks, except inside :func:`share_with_children`."""
    _FUNCTIONS.append(function)
    return function


@contextmanager
def share_with_children() -> Iterator[None]:
    """Let children that are forked inside this block keep their parent's memory and settings."""
    token = _SHARING.set(True)
    try:
        yield
    finally:
        _SHARING.reset(token)


def _run_functions() -> None:
    if not _SHARING.get():
        for function in _FUNCTIONS:
            function()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_run_functions)
