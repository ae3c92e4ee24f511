"""Conversion of command-line words into a dataclass."""

import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, NoReturn, TypeVar, get_type_hints

from tqdm import tqdm

from scratchnet.cli.flag_values import choices, is_bool, is_number, read_words, words_taken
from scratchnet.cli.flags import Flag, flag_name, flags_of
from scratchnet.cli.help_text import help_text
from scratchnet.config.renamed import RENAMED
from scratchnet.utils.errors import UserError
from scratchnet.utils.spelling import closest_name
from scratchnet.utils.verbosity import says

T = TypeVar("T")

HELP = ("-h", "--help")


def parse(kind: type[T], words: Sequence[str], command: str, example: str, default: T | None = None) -> T:
    """Read ``words`` into a dataclass whose fields are flags.

    Parameters
    ----------
    kind : type
        The dataclass; its docstring and those of its fields make up the help.
    words : sequence of str
    command : str
        Name of the command, for the help and messages.
    example : str
        A complete command, shown in the help.
    default : instance of ``kind`` or None
        Values of flags that are not given.

    Raises
    ------
    UserError
        Naming the first word that cannot be used, or the missing flags.
    SystemExit
        After the help, if the words ask for it.
    """
    flags = flags_of(kind, default)
    if wants_help(words):
        say(help_text(kind, flags, command, example))
        sys.exit(0)
    given = _Reader(flags, command).read(words)
    missing = [flag.name for flag in flags if flag.required and flag.path not in given]
    if missing:
        raise UserError(f"{command}: {' and '.join(missing)} missing; for example: {example}")
    made: T = _build(kind, given, default, ())
    return made


def given_names(kind: type, words: Sequence[str], command: str) -> frozenset[str]:
    """Return the names of the fields of ``kind`` whose flags are among the words; errors as in :func:`parse`."""
    return frozenset(path[-1] for path in _Reader(flags_of(kind), command).read(words))


def wants_help(words: Sequence[str]) -> bool:
    """Return whether any of the words asks for help."""
    before = words[: words.index("--")] if "--" in words else words
    return any(word in HELP for word in before)


def find_value(words: Sequence[str], name: str) -> str | None:
    """Return the word after a flag, before the flags are parsed; None if there is none."""
    for place, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag.replace("_", "-") == name:
            following = words[place + 1] if place + 1 < len(words) else "--"
            return value if equals else None if following.startswith("--") else following
    return None


class _Reader:
    """Parses words with a table of flags."""

    def __init__(self, flags: Sequence[Flag], command: str) -> None:
        self.command = command
        self.by_name = {name: flag for flag in flags for name in flag.names}
        self.positional = [flag for flag in flags if flag.positional]
        self.found: dict[tuple[str, ...], Any] = {}

    def read(self, words: Sequence[str]) -> dict[tuple[str, ...], Any]:
        """Return the values of the given flags by path."""
        rest, loose = list(words), list[str]()
        while rest:
            word = rest.pop(0)
            if word == "--":
                loose += rest
                break
            if _is_flag(word):
                self._flag(word, rest)
            else:
                loose.append(word)
        self._positional(loose)
        return self.found

    def _flag(self, word: str, rest: list[str]) -> None:
        """Parse one flag and remove its values from the words after it."""
        name, equals, value = word.partition("=")
        name = name.replace("_", "-")
        if name not in self.by_name:
            raise UserError(f"{name}: no such option of `scratchnet {self.command}`{self._guess(name)}")
        flag = self.by_name[name]
        if flag.path in self.found:
            raise UserError(f"{name}: is given twice; leave one out")
        ahead = [] if equals else _until_a_flag(rest)
        if is_bool(flag.hint):
            on = [value] if equals else ahead[:1] if ahead and ahead[0].lower() in ("true", "false") else []
            del rest[: 0 if equals else len(on)]
            if name != flag.name and on:
                raise UserError(f"{word if equals else f'{name} {on[0]}'}: {name} takes no value")
            if on and on[0].lower() not in ("true", "false"):
                raise UserError(f"{name} {on[0]}: expected true or false; {name} alone switches it on")
            self.found[flag.path] = name == flag.name and (not on or on[0].lower() == "true")
            return
        if flag.alone is not None and not equals and not (ahead and is_number(ahead[0])):
            self.found[flag.path] = flag.alone
            return
        taken = [value] if equals else ahead[: words_taken(flag.hint, ahead)]
        del rest[: 0 if equals else len(taken)]
        self.found[flag.path] = _value(flag, taken)

    def _guess(self, name: str) -> str:
        """Return what to use instead of an unknown flag: its new name, one spelt alike, or the help."""
        renamed = flag_name(RENAMED.get(name[2:].replace("-", "_"), ""))
        if renamed in self.by_name:
            return f"; it is called {renamed} now"
        return (
            closest_name(name, [*self.by_name, "--threads", "--overwrite", "--help"])
            or f"; `scratchnet {self.command} --help` lists them"
        )

    def _positional(self, words: list[str]) -> None:
        for flag in self.positional:
            if words:
                taken = words[: words_taken(flag.hint, words)]
                del words[: len(taken)]
                self.found[flag.path] = _value(flag, taken)
        if words:
            raise UserError(f"'{words[0]}': `scratchnet {self.command}` does not expect this word; see its --help")


def _is_flag(word: str) -> bool:
    return word.startswith("-") and len(word) > 1 and not is_number(word)


def _until_a_flag(words: Sequence[str]) -> list[str]:
    ahead: list[str] = []
    for word in words:
        if _is_flag(word):
            break
        ahead.append(word)
    return ahead


def _value(flag: Flag, words: Sequence[str]) -> Any:
    if not words:
        _refuse(flag, flag.name, "a value is missing")
    try:
        return read_words(flag.hint, words)
    except ValueError as error:
        _refuse(flag, f"{flag.name} {' '.join(words)}", f"expected {error}{closest_name(words[0], choices(flag.hint))}")


def _refuse(flag: Flag, what: str, why: str) -> NoReturn:
    shown = what if len(what) < 200 else f"{what[:180]}…"
    form = "" if why.startswith("expected") else f"; expected {flag.name} {flag.metavar}"
    raise UserError(f"{shown}: {why}{form}")


def _build(kind: Any, given: dict[tuple[str, ...], Any], default: Any, path: tuple[str, ...]) -> Any:
    """Make a dataclass from the given values and the defaults of the others."""
    hints, values = get_type_hints(kind), {}
    for field in fields(kind):
        where = (*path, field.name)
        known = MISSING if default is None else getattr(default, field.name)
        if is_dataclass(hints[field.name]):
            values[field.name] = _build(hints[field.name], given, None if known is MISSING else known, where)
        elif where in given:
            values[field.name] = given[where]
        elif known is not MISSING:
            values[field.name] = known
    return kind(**values)


def say(text: str = "") -> None:
    """Print a line for people and flush it, so that it shows at once in a pipe too; nothing with --quiet or --json.

    Progress bars move down to make room.
    """
    if says():
        with tqdm.external_write_mode():
            print(text, flush=True)
