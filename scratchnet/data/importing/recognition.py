"""Cheap recognition of an export of a labelling tool where a data set was expected."""

import os
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from scratchnet.data.file_names import find_entry, is_system_file

HEAD_BYTES = 1 << 14
"""Number of bytes of a file that are read."""

MAX_ENTRIES, MAX_FOLDERS, MAX_READ = 1000, 50, 5
"""Largest numbers of entries of a folder, of folders in it, and of its files, that are looked at."""

MARKS: dict[str, dict[str, tuple[str, ...]]] = {
    ".json": {
        "labelme": ('"shapes"',),
        "Label Studio": ('"completed_by"', '"brushlabels"', '"polygonlabels"'),
        "COCO": ('"categories"', '"annotations"', '"images"'),
    },
    ".xml": {"CVAT": ("<annotations>",)},
}
"""Words, by suffix and tool, of which one occurs at the beginning of an export's file; the first tool wins."""


def import_advice(root: Path) -> str | None:
    """Return which command imports a file or a folder, or None if it does not look like an export.

    A folder that has ``masks/`` is a data set. Of others, the names of at most some thousand entries are read, in the
    folder itself and in those in it, and the beginning of a few files.

    Parameters
    ----------
    root : Path
        A file or a folder, which need not exist.
    """
    if root.is_dir() and not find_entry(root, "masks").exists():
        for folder in (root, *_folders(root)):
            for path in islice(_candidates(folder), MAX_READ):
                if tool := _tool(path):
                    archive = path.suffix.lower() == ".zip"
                    return _advice(path if archive else root, tool, f"holds {path.relative_to(root)}, ")
    elif root.is_file() and (tool := _tool(root)):
        return _advice(root, tool, "is ")
    return None


def _advice(source: Path, tool: str, found: str) -> str:
    out = source.resolve().stem
    out = f"{out}-dataset" if source.is_dir() or Path(out).exists() else out
    command = f"scratchnet data import {shlex.quote(str(source))} --out {shlex.quote(out)}"
    return f"{found}{tool}, not a data set of images and masks; make one with `{command}`"


def _tool(path: Path) -> str | None:
    """Return what a file seems to be, judging by its suffix and its beginning; None for other files."""
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return "an archive"
    if suffix not in MARKS or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    for tool, marks in MARKS[suffix].items():
        if any(mark in head for mark in marks):
            return f"an export of {tool}"
    return None


def _entries(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry) for entry in islice(entries, MAX_ENTRIES) if not is_system_file(entry.name))
    except OSError:
        return []


def _candidates(folder: Path) -> Iterator[Path]:
    return (path for path in _entries(folder) if path.suffix.lower() in (*MARKS, ".zip"))


def _folders(root: Path) -> list[Path]:
    return [path for path in _entries(root) if path.is_dir()][:MAX_FOLDERS]
