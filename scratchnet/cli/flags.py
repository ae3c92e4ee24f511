"""The flags of a command: one for each field of its dataclass, derived from types and docstrings."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import docstring_parser

from scratchnet.cli.flag_values import is_bool, metavar


@dataclass(frozen=True)
class Positional:
    """Marks a field as positional: ``Annotated[str, Positional("IMAGE")]``."""

    metavar: str


@dataclass(frozen=True)
class Metavar:
    """Sets the placeholder that the help shows after a flag: ``Annotated[str, Metavar("FILE")]``."""

    metavar: str


@dataclass(frozen=True)
class Alone:
    """Sets the value of a flag without a number after it: ``Annotated[float | None, Alone(0.5)]``."""

    value: float


@dataclass(frozen=True)
class Flag:
    """One field of a command's dataclass.

    Attributes
    ----------
    path : tuple of str
        Names of the fields that lead to it, starting at the command's dataclass.
    hint : type
    default : object
        `MISSING` if the flag is required.
    about : str
        Help text, in one paragraph.
    group : str
        Title of the group of settings; "" for the command's own fields.
    positional : bool
    metavar : str
    alone : float or None
        Value of the flag without a number after it; None if it needs a value.
    """

    path: tuple[str, ...]
    hint: Any
    default: Any
    about: str
    group: str
    positional: bool
    metavar: str
    alone: float | None = None

    @property
    def name(self) -> str:
        """The flag as typed, or the name of a positional argument."""
        return self.metavar if self.positional else flag_name(self.path[-1])

    @property
    def names(self) -> tuple[str, ...]:
        """All forms in which the flag can be typed."""
        if self.positional:
            return ()
        return (self.name, f"--no-{self.name[2:]}") if is_bool(self.hint) else (self.name,)

    @property
    def required(self) -> bool:
        """Whether the flag must be given."""
        return self.default is MISSING


def flag_name(field: str) -> str:
    """Return the flag of a field.

    >>> flag_name("batch_size")
    '--batch-size'
    """
    return f"--{field.rstrip('_').replace('_', '-')}"


def flags_of(kind: type, default: Any = None, path: tuple[str, ...] = (), group: str = "") -> list[Flag]:
    """Return the flags of a dataclass, followed by those of the groups of settings in it.

    Parameters
    ----------
    kind : type
    default : instance of ``kind`` or None
        Its values are the defaults; None takes those of the class.
    path, group
        Position of the dataclass in that of the command.
    """
    hints, texts = get_type_hints(kind, include_extras=True), descriptions(kind)
    own: list[Flag] = []
    inner: list[Flag] = []
    for field in fields(kind):
        hint, where = hints[field.name], (*path, field.name)
        value = _default(field) if default is None else getattr(default, field.name)
        if is_dataclass(hint):
            title = group if path == () and field.name == "settings" else field.name
            inner += flags_of(hint, None if value is MISSING else value, where, title)  # type: ignore[arg-type]
            continue
        bare, marks = _unmarked(hint)
        positional = next((mark for mark in marks if isinstance(mark, Positional)), None)
        shown = next((mark.metavar for mark in marks if isinstance(mark, Positional | Metavar)), metavar(bare))
        alone = next((mark.value for mark in marks if isinstance(mark, Alone)), None)
        shown = shown if alone is None else f"[{shown}]"
        own.append(Flag(where, bare, value, texts.get(field.name, ""), group, positional is not None, shown, alone))
    return own + inner


@cache
def descriptions(kind: type) -> dict[str, str]:
    """Return the docstrings of a dataclass's fields, each in one paragraph; those of a subclass take precedence."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__[:-1]):
        for about in docstring_parser.parse_from_object(owner).params:
            if about.description:
                found[about.arg_name] = " ".join(about.description.split())
    return found


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _unmarked(hint: Any) -> tuple[Any, Sequence[Any]]:
    """Split a type into the bare type and the marks of this module."""
    if get_origin(hint) is not Annotated:
        return hint, ()
    bare, *marks = get_args(hint)
    kept = [mark for mark in marks if not isinstance(mark, Positional | Metavar | Alone)]
    return (Annotated[bare, *kept] if kept else bare), marks
