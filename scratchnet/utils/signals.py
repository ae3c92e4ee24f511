"""SIGTERM, with which ``kill``, ``timeout`` and job schedulers end a process: stop at the next step instead.

Ctrl-C raises an exception wherever the program is. SIGTERM only leaves a note, and long steps look at it between two
of their items, so that no file and no pass is interrupted. A second signal ends the process at once.
"""

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""

    exit_code = 128 + signal.SIGTERM


_received: list[int] = []


@contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Let `stop_if_asked` raise `Terminated` inside this block once SIGTERM has arrived.

    Nothing changes if the signal is ignored or handled already, or outside the main thread.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGTERM, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, before)
        _received.clear()


def stop_if_asked() -> None:
    """Raise `Terminated` if SIGTERM has arrived.

    Raises
    ------
    Terminated
    """
    if _received:
        raise Terminated("stopped by SIGTERM")


def stoppable(items: Iterable[T]) -> Iterator[T]:
    """Yield the items, and stop before the next one if SIGTERM has arrived.

    Raises
    ------
    Terminated
    """
    for item in items:
        stop_if_asked()
        yield item


def _note(number: int, _: FrameType | None) -> None:
    """Note the signal, and let the next one end the process."""
    _received.append(number)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_DFL)
