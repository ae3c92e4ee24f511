"""Exports with one file per split, such as ``train.json`` and ``val.json``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scratchnet.data.file_names import canonical_name
from scratchnet.data.importing.labels import Export
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

WORDS = {"train": ("train",), "val": ("val", "dev"), "test": ("test",)}
"""Words in the name of a file or folder that state a split."""


def stated_split(name: str) -> str | None:
    """Return the split that a name states, ``instances_train2017``: train; None if it states none."""
    return next((split for split, words in WORDS.items() if any(word in name.lower() for word in words)), None)


def split_of(path: Path) -> str:
    """Return the split that the name of a file or else of its folder states, or else the name."""
    return stated_split(path.stem) or stated_split(path.parent.name) or path.stem


def by_split(files: Sequence[Path]) -> dict[str, Path] | None:
    """Return the files by their split; None if two are of the same one."""
    found = {split_of(path): path for path in files}
    return found if len(found) == len(files) else None


def join_splits(tool: str, files: Mapping[str, Path], parts: Mapping[str, Export]) -> Export:
    """Return one export of several, one for each split.

    Parameters
    ----------
    tool : str
        Name of the format, for the summary.
    files : mapping of str to Path
        The files by the name of their split, for messages.
    parts : mapping of str to Export
        Their contents.

    Raises
    ------
    UserError
        When the classes differ.
    """
    first = next(iter(parts))
    for split, part in parts.items():
        if part.classes != parts[first].classes:
            raise UserError(f"{files[split]}: has other classes than {files[first]}; pass {option('classes')}")
    stems = [canonical_name(entry.name) for part in parts.values() for entry in part.entries]
    unique = len(set(stems)) == len(stems)
    entries, splits = [], {}
    for split, part in parts.items():
        named = [entry._replace(name=entry.name if unique else f"{split}-{entry.name}") for entry in part.entries]
        splits[split] = [entry.name for entry in named]
        entries += named
    summary = f"{tool}: {len(entries)} images in the splits {', '.join(splits)}"
    remarks = [remark for part in parts.values() for remark in part.remarks]
    return Export(summary, parts[first].classes, entries, [], True, splits, remarks)


def image_folders(folder: Path, file: Path) -> list[Path]:
    """Return a folder and those in it where the images of a file of labels may be, that of the file's split first.

    Folders of other splits are left out: they may have other images of the same names.
    """
    if not folder.is_dir():
        return [folder]
    split = stated_split(file.stem)
    inner = sorted(path for path in folder.iterdir() if path.is_dir())
    if split is not None:
        inner = [path for path in inner if stated_split(path.name) in (split, None)]
        inner.sort(key=lambda path: stated_split(path.name) != split)
    return [*inner, folder]
