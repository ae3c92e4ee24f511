"""Progress of long steps: a bar on a terminal, an occasional line in a log file."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, TypeVar

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


class EpochsBar:
    """A bar over all epochs of a training, above those of its steps, with the time left; only on a terminal.

    Parameters
    ----------
    epochs, done : int
        Epochs of the whole training, and those completed before.
    """

    def __init__(self, epochs: int, done: int = 0) -> None:
        self.epochs, self.done, self._first = epochs, done, done
        form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
        shown = shows_progress() and has_bars() and done < epochs
        options: dict[str, Any] = {"initial": done, "bar_format": form, "smoothing": 0, "miniters": 0}
        label = f"epoch {done + 1} of {epochs}"
        self._bar = tqdm(desc=label, total=epochs, disable=not shown, dynamic_ncols=True, **options)

    def __enter__(self) -> "EpochsBar":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave one line: the epochs and the time that they took."""
        count = self.done - self._first
        self._bar.bar_format = "{desc} in {elapsed}"
        self._bar.set_description_str(f"trained {count} epoch{'' if count == 1 else 's'}", refresh=False)
        self._bar.close()

    def batches(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        """Yield the batches of an epoch and show the progress, of this epoch and of all."""
        for item in progress(items, label, total):
            yield item
            self._bar.update(min(1 / max(total, 1), self.done + 1 - self._bar.n))

    def epoch_done(self, epoch: int) -> None:
        """Note that an epoch is complete, validation included."""
        self.done = epoch
        self._bar.set_description_str(f"epoch {min(epoch + 1, self.epochs)} of {self.epochs}", refresh=False)
        self._bar.update(epoch - self._bar.n)


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
