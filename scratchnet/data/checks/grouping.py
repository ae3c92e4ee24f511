"""Groups of messages that report the same problem of several files."""

import os
import re
from collections.abc import Sequence

NAMED = 3
"""Number of further files that are named."""

_FILES = re.compile(r"\S*[/\\]\S*|\S+\.[A-Za-z]\w{1,4}\b|(?<=\.csv: ).+?(?=, )|'[^']*'|\"[^\"]*\"")
_NUMBERS = re.compile(r"\d+(\.\d+)?((, |×)\d+)*(, … \(\d+ values\))?")


def grouped(problems: Sequence[str]) -> list[list[str]]:
    """Group messages that are equal except for file names and numbers, in the order of their first members.

    >>> grouped(["a.png: value 3", "b.png: has no mask", "c.png: value 4, 7"])
    [['a.png: value 3', 'c.png: value 4, 7'], ['b.png: has no mask']]
    """
    groups: dict[str, list[str]] = {}
    for problem in problems:
        groups.setdefault(_kind_of(problem), []).append(problem)
    return list(groups.values())


def _kind_of(problem: str) -> str:
    """Return a message without what differs between files: names and numbers."""
    path, colon, words = problem.partition(": ")
    if colon and ".csv: " not in problem:
        stem = path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
        problem = f"*: {words.replace(stem, '*') if ' ' in stem else words}"
    kind = _NUMBERS.sub("#", _FILES.sub("*", problem))
    return re.sub(r"\*( \*)+", "*", kind)


def summary_lines(problems: Sequence[str], root: str) -> list[str]:
    """Return two lines at most for each group: the first message, and the number and names of up to three others.

    Parameters
    ----------
    problems : sequence of str
        Each begins with the name of a file.
    root : str
        Folder that is removed from the names.
    """
    lines = []
    for first, *others in grouped(problems):
        lines.append(f"  {first}")
        if others:
            names = dict.fromkeys(_file_of(problem).removeprefix(f"{root}{os.sep}") for problem in others)
            shown = ", ".join(list(names)[:NAMED]) + (", …" if len(names) > NAMED else "")
            lines.append(f"    the same of {len(others)} more: {shown}")
    return lines


def _file_of(problem: str) -> str:
    """Return the name at the beginning of a message, such as "images/a.png" of "images/a.png is 3×4 but its mask"."""
    return re.split(r": | is \d", problem, maxsplit=1)[0]
