"""Names of settings in messages: ``--batch-size 8`` for a user of the command line, ``batch_size=8`` in Python."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Style:
    """The current style of names, for all threads."""

    flags = False


@contextmanager
def named_as_flags() -> Iterator[None]:
    """Name settings as command-line flags in messages created inside this context."""
    before, _Style.flags = _Style.flags, True
    try:
        yield
    finally:
        _Style.flags = before


def for_caller(command_line: str, python: str) -> str:
    """Return the words for a user of the command line, or those for a user of Python."""
    return command_line if _Style.flags else python


def option(name: str, value: Any = None) -> str:
    """Return a setting, with its value unless that is None, as the user writes it.

    >>> option("learning_rate"), option("crop", (64, 64)), option("loss", "dice")
    ('learning_rate', 'crop=(64, 64)', "loss='dice'")
    >>> with named_as_flags():
    ...     option("learning_rate"), option("crop", (64, 64)), option("loss", "dice")
    ('--learning-rate', '--crop 64 64', '--loss dice')
    """
    if not _Style.flags:
        return name if value is None else f"{name}={value!r}"
    flag = f"--{name.rstrip('_').replace('_', '-')}"
    if value is None:
        return flag
    return f"{flag} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
