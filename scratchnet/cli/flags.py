"""The flags of a command: one for each field of its dataclass, read from its types and docstrings."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import docstring_parser

from scratchnet.cli.values import is_bool, metavar


@dataclass(frozen=True)
class Positional:
    """Marks a field that is given by its place, not by a flag: ``Annotated[str, Positional("IMAGE")]``."""

    metavar: str


@dataclass(frozen=True)
class Metavar:
    """What the help shows behind a flag: ``Annotated[str, Metavar("FILE")]``."""

    metavar: str


@dataclass(frozen=True)
class Flag:
    """One field of a command's dataclass.

    Attributes
    ----------
    path : tuple of str
        Names of the fields that lead to it, from the command's dataclass inwards.
    hint : type
    default : object
        `MISSING` where the field must be given.
    about : str
        Help, in one paragraph.
    group : str
        What the group of settings is about; "" for the command's own fields.
    positional : bool
    metavar : str
    """

    path: tuple[str, ...]
    hint: Any
    default: Any
    about: str
    group: str
    positional: bool
    metavar: str

    @property
    def name(self) -> str:
        """The flag as it is typed, or what a positional argument is called."""
        return self.metavar if self.positional else flag_name(self.path[-1])

    @property
    def names(self) -> tuple[str, ...]:
        """All forms in which the flag can be typed."""
        if self.positional:
            return ()
        return (self.name, f"--no-{self.name[2:]}") if is_bool(self.hint) else (self.name,)

    @property
    def required(self) -> bool:
        """Whether the command cannot do without."""
        return self.default is MISSING


def flag_name(field: str) -> str:
    """Return the flag of a field.

    >>> flag_name("batch_size")
    '--batch-size'
    """
    return f"--{field.rstrip('_').replace('_', '-')}"


def flags_of(kind: type, default: Any = None, path: tuple[str, ...] = (), group: str = "") -> list[Flag]:
    """Return the flags of a dataclass; those of groups of settings inside it come last.

    Parameters
    ----------
    kind : type
    default : instance of ``kind`` or None
        Whose values are the defaults; None takes those of the class.
    path, group
        Of the dataclass, within the command's own.
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
        own.append(Flag(where, bare, value, texts.get(field.name, ""), group, positional is not None, shown))
    return own + inner


@cache
def descriptions(kind: type) -> dict[str, str]:
    """Return what a dataclass says of its fields, each in one paragraph; a subclass may say it in its own words."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__[:-1]):
        for about in docstring_parser.parse_from_object(owner).params:
            if about.description:
                found[about.arg_name] = " ".join(about.description.split())
    return found


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _unmarked(hint: Any) -> tuple[Any, Sequence[Any]]:
    """Take the marks of this module off a type."""
    if get_origin(hint) is not Annotated:
        return hint, ()
    bare, *marks = get_args(hint)
    kept = [mark for mark in marks if not isinstance(mark, Positional | Metavar)]
    return (Annotated[bare, *kept] if kept else bare), marks
