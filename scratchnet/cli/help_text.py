"""The text of ``--help``, as wide as the terminal."""

import inspect
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import MISSING
from typing import Any

from scratchnet.cli.flag_values import is_bool
from scratchnet.cli.flags import Flag

INDENT = 28
"""Column in which the descriptions begin."""

HELP = ("-h, --help", "Show this text.")
THREADS = ("--threads N", "Number of cores to use (or set the variable SCRATCHNET_THREADS).")
OVERWRITE = ("--overwrite", "Replace existing files that scratchnet did not write itself.")


def help_text(kind: type, flags: Sequence[Flag], command: str, example: str) -> str:
    """Return the help of a command.

    Parameters
    ----------
    kind : type
        The dataclass of the command's arguments; its docstring describes the command.
    flags : sequence of Flag
    command, example : str
    """
    width = max(shutil.get_terminal_size().columns, 50)
    positional = [flag for flag in flags if flag.positional]
    required = [flag for flag in flags if flag.required and not flag.positional]
    words = [*(f"{f.name} {f.metavar}" for f in required), *(f.name for f in positional), "[OPTIONS]"]
    parts = [_wrapped(f"usage: scratchnet {command} {' '.join(words)}", width, 7)]
    parts += [_wrapped(" ".join(part.split()), width) for part in (inspect.getdoc(kind) or "").split("\n\n")]
    parts.append(_wrapped(f"Example: {example}", width, 9))
    if positional:
        parts.append(_section("arguments", [(f.name, _about(f)) for f in positional], width))
    for group in dict.fromkeys(flag.group for flag in flags):
        rows = [(_shown(f), _about(f)) for f in flags if f.group == group and not f.positional]
        if group == "":
            own = any(flag.name == "--threads" for flag in flags)
            rows = [HELP, *rows] if own else [HELP, THREADS, OVERWRITE, *rows]
        parts.append(_section(f"{group} options" if group else "options", rows, width))
    return "\n\n".join(parts)


def _shown(flag: Flag) -> str:
    return ", ".join(flag.names) if is_bool(flag.hint) else f"{flag.name} {flag.metavar}"


def _about(flag: Flag) -> str:
    """Return the description with the default, if there is a meaningful one."""
    if flag.required:
        return f"{flag.about} (required)"
    if flag.default in (None, "", ()) or "Default:" in flag.about or "(default)" in flag.about:
        return flag.about
    return f"{flag.about} (default: {_value(flag.default)})"


def _value(value: Any) -> str:
    if value is MISSING:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _section(title: str, rows: Sequence[tuple[str, str]], width: int) -> str:
    lines = [f"{title}:"]
    for name, about in rows:
        text = textwrap.wrap(about, width - INDENT, break_long_words=False, break_on_hyphens=False) or [""]
        if len(name) + 4 > INDENT:
            lines.append(f"  {name}")
        else:
            lines.append(f"{f'  {name}':<{INDENT}}{text.pop(0)}".rstrip())
        lines += [" " * INDENT + line for line in text]
    return "\n".join(lines)


def _wrapped(text: str, width: int, indent: int = 0) -> str:
    return textwrap.fill(text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
