"""Comparison of file names: names that look the same, and files of the operating system."""

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from scratchnet.data.image_formats import readable_suffixes
from scratchnet.utils.errors import UserError

T = TypeVar("T")

_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r", "$recycle.bin"}
"""Files and folders created by Windows, macOS and network drives, in lower case."""


def is_system_file(name: str) -> bool:
    """Return whether a file belongs to an operating system: ``.DS_Store``, ``._a.png``, ``Thumbs.db``, …."""
    return name.startswith(".") or name.casefold() in _SYSTEM_FILES


def canonical_name(name: str) -> str:
    """Return the canonical form of a file name without its suffix, equal for names that look the same.

    Case, composed and decomposed accents, full-width letters, surrounding spaces and a second suffix (``a.jpg.png``)
    make no difference.

    >>> canonical_name("A.JPG") == canonical_name("a") == "a"
    True
    """
    seen = unicodedata.normalize("NFKC", name).strip().casefold()
    while (cut := Path(seen)).suffix in readable_suffixes() and cut.stem:
        seen = cut.stem.strip()
    return unicodedata.normalize("NFKC", seen)


def find_by_name(name: str, files: Mapping[str, T], where: str) -> T | None:
    """Return the file of this name, else the only one whose name looks the same, else None.

    Raises
    ------
    UserError
        When several names look the same. The message begins with ``where``.
    """
    if name in files:
        return files[name]
    similar = [other for other in files if canonical_name(other) == canonical_name(name)]
    if len(similar) > 1:
        raise UserError(f"{where}: the names {similar[0]!r} and {similar[1]!r} both look like {name!r}; rename one")
    return files[similar[0]] if similar else None


def match_names(names: Iterable[str], others: Iterable[str], where: str) -> dict[str, str]:
    """Match equal names first, then names that look the same.

    Returns
    -------
    dict of str to str
        Partner of each of the ``names`` that has one.

    Raises
    ------
    UserError
        When the match is ambiguous because several names look the same. The message begins with ``where``.
    """
    names, others = list(names), list(others)
    pairs = {name: name for name in {*names} & {*others}}
    seen: dict[str, tuple[list[str], list[str]]] = {}
    for side, group in enumerate((names, others)):
        for name in group:
            if name not in pairs:
                seen.setdefault(canonical_name(name), ([], []))[side].append(name)
    for left, right in seen.values():
        if left and right and len(left) + len(right) > 2:
            first, second = (left if len(left) > 1 else right)[:2]
            raise UserError(f"{where}: the names {first!r} and {second!r} look the same; rename one")
        if left and right:
            pairs[left[0]] = right[0]
    return pairs


def find_entry(folder: Path, name: str) -> Path:
    """Return ``folder / name``, or the only entry whose name differs from it in case only, if there is one.

    Raises
    ------
    UserError
        When there are several such entries.
    """
    exact = folder / name
    if exact.exists() or exact.is_symlink() or not folder.is_dir():
        return exact
    similar = sorted(path for path in folder.iterdir() if path.name.casefold() == name.casefold())
    if len(similar) > 1:
        raise UserError(f"{similar[0]} and {similar[1].name}: both mean {name}; rename one")
    return similar[0] if similar else exact
