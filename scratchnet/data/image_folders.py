"""Image files in a folder, by their names."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scratchnet.data.file_names import is_system_file
from scratchnet.data.file_types import detect_file_type_of
from scratchnet.data.image_formats import readable_suffixes
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

SEARCHED_SUFFIXES = ".png, .jpg, .tif, .webp and the other formats that Pillow reads"
"""Suffixes of image files, for messages about folders without images."""


def files_by_stem(folder: Path) -> dict[str, Path]:
    """Return the image files of a folder by their names without suffix.

    Raises
    ------
    UserError
        When the folder is missing, has no image files, or two of them differ in their suffix only.
    """
    files: dict[str, Path] = {}
    for path in sorted(existing_folder(folder).iterdir()):
        if not is_image_file(path):
            continue
        if path.stem in files:
            raise UserError(f"{path}: has the same name as {files[path.stem].name} except for its suffix; rename one")
        files[path.stem] = path
    if not files:
        others = unreadable_files(folder)
        contents = f"; it holds {describe_unreadable(others)}" if others else ""
        raise UserError(f"{folder}: no image files in it (looked for {SEARCHED_SUFFIXES}){contents}")
    return files


def existing_folder(folder: Path) -> Path:
    """Return the folder; a UserError that describes the layouts if it does not exist."""
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; expected images/ and masks/, with {option('layout', 'camvid')} train/ and "
            f"trainannot/, with {option('layout', 'voc')} JPEGImages/ and SegmentationClass/"
        )
    return folder


def is_image_file(path: Path) -> bool:
    """Return whether a file has the suffix of a readable image."""
    return path.suffix.lower() in readable_suffixes() and not is_system_file(path.name) and path.is_file()


def unreadable_files(folder: Path) -> list[Path]:
    """Return the files of a folder that are neither images nor system files, sorted."""
    entries = sorted(path for path in folder.iterdir() if not is_system_file(path.name))
    return [path for path in entries if not path.is_dir() and not is_image_file(path)]


def describe_unreadable(paths: Sequence[Path]) -> str:
    """Return the number of unreadable files and the names and types of the first three."""
    described = [f"{path.name} ({found[0]})" if (found := _file_type(path)) else path.name for path in paths[:3]]
    names = ", ".join(described) + (", …" if len(paths) > 3 else "")
    return f"{len(paths)} file{'' if len(paths) == 1 else 's'} of kinds that cannot be read as images: {names}"


def _file_type(path: Path) -> tuple[str, str] | None:
    """Return the type of a regular file and advice, or None if it is unknown."""
    with suppress(OSError):
        return detect_file_type_of(path) if path.is_file() else None
    return None
