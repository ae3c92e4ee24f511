"""Names of files as people see them: which two look the same, and which belong to the system and not to the set."""

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from scratchnet.data.image_files import readable_suffixes
from scratchnet.utils.errors import UserError

T = TypeVar("T")

_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r", "$recycle.bin"}
"""What Windows, macOS and network drives put into folders, in lower case."""


def is_system_file(name: str) -> bool:
    """Return whether an operating system put a file there: ``.DS_Store``, ``._a.png``, ``Thumbs.db``, …."""
    return name.startswith(".") or name.casefold() in _SYSTEM_FILES


def canonical_name(name: str) -> str:
    """Return what a person sees of a file name without its ending; names that look the same give the same.

    Upper and lower case, the composed and the decomposed form of an accent, full-width letters, spaces at the ends and
    a second ending (``a.jpg.png``) make no difference.

    >>> looks_of("A.JPG") == looks_of("a") == "a"
    True
    """
    seen = unicodedata.normalize("NFKC", name).strip().casefold()
    while (cut := Path(seen)).suffix in readable_suffixes() and cut.stem:
        seen = cut.stem.strip()
    return unicodedata.normalize("NFKC", seen)


def find_by_name(name: str, files: Mapping[str, T], where: str) -> T | None:
    """Return the file of this name, or else the only one whose name looks the same.

    Raises
    ------
    UserError
        When several look the same. It begins with ``where``.
    """
    if name in files:
        return files[name]
    alike = [other for other in files if canonical_name(other) == canonical_name(name)]
    if len(alike) > 1:
        raise UserError(f"{where}: the names {alike[0]!r} and {alike[1]!r} both look like {name!r}; rename one")
    return files[alike[0]] if alike else None


def match_names(names: Iterable[str], others: Iterable[str], where: str) -> dict[str, str]:
    """Pair equal names first, then those that look the same.

    Returns
    -------
    dict of str to str
        For each of ``names`` that has a partner, the partner.

    Raises
    ------
    UserError
        When names that are left look the same: no pair is guessed at. It begins with ``where``.
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
    """Return ``folder / name``, or the only entry whose name differs from it in case alone, if there is one.

    Raises
    ------
    UserError
        When there are several of them.
    """
    exact = folder / name
    if exact.exists() or exact.is_symlink() or not folder.is_dir():
        return exact
    alike = sorted(path for path in folder.iterdir() if path.name.casefold() == name.casefold())
    if len(alike) > 1:
        raise UserError(f"{alike[0]} and {alike[1].name}: both stand for {name}; rename one")
    return alike[0] if alike else exact
