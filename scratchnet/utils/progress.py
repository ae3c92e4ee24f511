"""Progress of long steps: a bar on a terminal, an occasional line in a log file."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import TypeVar

from tqdm import tqdm

from scratchnet.utils.signals import stoppable
from scratchnet.utils.verbosity import shows_progress

T = TypeVar("T")

SECONDS = 10.0
"""Minimum interval between two lines without a terminal."""


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield the items and show the progress on stderr, unless `verbosity` hides it. SIGTERM stops it between two items.

    Parameters
    ----------
    items : iterable
    label : str
        Label in front of the bar.
    total : int or None
        Number of items; None takes ``len(items)`` if available.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if not shows_progress():
        yield from stoppable(items)
        return
    if has_bars():
        yield from tqdm(stoppable(items), label, total, leave=False, dynamic_ncols=True)
        return
    last_line = time.monotonic()
    for done, item in enumerate(stoppable(items), 1):
        yield item
        if time.monotonic() - last_line > SECONDS:
            last_line = time.monotonic()
            print(f"{label}: {done} of {total if total is not None else '?'}", file=sys.stderr, flush=True)


def has_bars() -> bool:
    """Return whether progress is shown as bars."""
    return sys.stderr.isatty() and not _is_notebook(os.environ)


def _is_notebook(environment: Mapping[str, str]) -> bool:
    """Return whether the terminal cannot move the cursor back in a line.

    ``!scratchnet train`` in a notebook cell runs in a pseudo-terminal, where overwritten text stays in the cell.
    Jupyter's server sets its own variable for its kernels, and every IPython kernel sets these pagers for its commands.
    """
    kernel = all(environment.get(name) == "cat" for name in ("PAGER", "GIT_PAGER")) and "CLICOLOR" in environment
    return kernel or "JPY_PARENT_PID" in environment or environment.get("TERM") == "dumb"
