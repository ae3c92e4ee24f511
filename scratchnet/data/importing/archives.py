"""Zip archives, in which most labelling tools export."""

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from scratchnet.data.file_names import is_system_file
from scratchnet.utils.errors import UserError

MAX_FILES = 200_000
"""Maximum number of files in an archive."""

DISK_RESERVE = 1 << 28
"""Number of bytes that stay free on the disk with the temporary files."""


@contextmanager
def unpacked(source: Path | str) -> Iterator[Path]:
    """Return a context manager for the folder with the contents of a zip archive; another source is returned unchanged.

    The files are unpacked into a temporary folder, which is removed at the end. If the archive contains one folder and
    nothing else, that is the one returned. The space that they take is the one that the archive states, because a file
    that turns out to be longer is an error.

    Raises
    ------
    UserError
        When the archive is damaged, encrypted, or larger than the free space of the disk. Messages of errors in the
        block name the archive instead of the temporary folder.
    """
    source = Path(source)
    if source.suffix.lower() != ".zip" or not source.is_file():
        yield source
        return
    with TemporaryDirectory(prefix="scratchnet-import-") as temporary:
        folder = Path(temporary, source.stem or "archive")
        try:
            _unpack(source, folder)
            yield _innermost(folder)
        except UserError as error:
            raise UserError(shown(str(error), source, folder)) from error


def shown(message: str, source: Path | str, folder: Path) -> str:
    """Return a message that names an archive instead of the folder that it was unpacked to."""
    return message.replace(str(folder), str(source))


def _unpack(source: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            files = [info for info in archive.infolist() if not info.is_dir() and not _is_system(info.filename)]
            _check_size(source, files, folder.parent)
            for info in files:
                archive.extract(info, folder)
    except RuntimeError as error:  # encrypted
        raise UserError(f"{source}: {error}; unpack it, and pass the folder") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise UserError(f"{source}: cannot be unpacked ({error}); export it again") from error
    if not files:
        raise UserError(f"{source}: an empty archive; export it again")


def _is_system(name: str) -> bool:
    return any(is_system_file(part) for part in name.replace("\\", "/").split("/") if part)


def _check_size(source: Path, files: list[zipfile.ZipInfo], temporary: Path) -> None:
    if len(files) > MAX_FILES:
        raise UserError(f"{source}: {len(files)} files, expected at most {MAX_FILES}; import it in several parts")
    size, free = sum(info.file_size for info in files), shutil.disk_usage(temporary).free
    if size + DISK_RESERVE > free:
        raise UserError(
            f"{source}: its files take {size / 1e6:.0f} MB, but {temporary} has {free / 1e6:.0f} MB left; unpack it on "
            "another disk, and pass the folder"
        )


def _innermost(folder: Path) -> Path:
    """Return the folder, or the only folder in it as long as there is nothing else."""
    entries = [path for path in folder.iterdir() if not is_system_file(path.name)]
    nested = len(entries) == 1 and entries[0].is_dir() and entries[0].name not in {"images", "masks", "leftImg8bit"}
    return _innermost(entries[0]) if nested else folder
