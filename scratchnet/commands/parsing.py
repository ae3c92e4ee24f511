"""Turning command-line words into a dataclass."""

import inspect
from collections.abc import Sequence
from typing import TypeVar

import tyro

from scratchnet.errors import UserError

T = TypeVar("T")


def parse(kind: type[T], words: Sequence[str], command: str, example: str, default: T | None = None) -> T:
    """Read ``words`` into a dataclass whose fields are flags.

    Parameters
    ----------
    kind : type
        The dataclass; its docstring and those of its fields are the help.
    words : sequence of str
    command : str
        Named in the help.
    example : str
        A command that works, shown in the help.
    default : instance of ``kind`` or None
        Values of the flags that are not given.
    """
    return tyro.cli(
        kind,
        prog=f"scratchnet {command}",
        description=f"{inspect.getdoc(kind)}\n\nExample: {example}",
        args=list(words),
        default=tyro.MISSING_NONPROP if default is None else default,
        config=(tyro.conf.OmitArgPrefixes,),
    )


def say(text: str = "") -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


def parse_size(text: str) -> tuple[int, int]:
    """Return (h, w) of "HxW" or "S"; anything else is a UserError."""
    parts = text.lower().replace("×", "x").split("x")
    try:
        h, w = (int(part) for part in (parts * 2)[:2])
    except ValueError as error:
        raise UserError(f"--size {text}: expected HxW, such as 128x128, or one number") from error
    if len(parts) > 2 or min(h, w) < 1:
        raise UserError(f"--size {text}: expected HxW, such as 128x128, or one number")
    return h, w
