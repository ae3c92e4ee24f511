"""Turning command-line words into a dataclass."""

import inspect
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from types import MappingProxyType
from typing import TypeVar

import docstring_parser
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
    _explain_fields(kind)
    return tyro.cli(
        kind,
        prog=f"scratchnet {command}",
        description=f"{inspect.getdoc(kind)}\n\nExample: {example}",
        args=list(words),
        default=tyro.MISSING_NONPROP if default is None else default,
        config=(tyro.conf.OmitArgPrefixes,),
    )


def _explain_fields(kind: type) -> None:
    """Give every field its docstring as help, in one paragraph.

    By itself tyro keeps the line breaks of the source, which fall anywhere in a terminal of another width.
    """
    known = {field.name: field for field in fields(kind)}
    for owner in reversed(kind.__mro__[:-1]):  # a subclass may say it in words of its own
        for name, text in _described(owner).items():
            if name in known:
                known[name].metadata = MappingProxyType({"help": text})
    for field in known.values():
        if isinstance(field.type, type) and is_dataclass(field.type):
            _explain_fields(field.type)


@cache
def _described(owner: type) -> dict[str, str]:
    """Return what a class says of its attributes; to find it, its source is parsed."""
    found = docstring_parser.parse_from_object(owner).params
    return {about.arg_name: " ".join(about.description.split()) for about in found if about.description}


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
