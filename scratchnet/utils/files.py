"""Write files atomically, so that a reader never sees a part of one."""

import glob
import os
import platform
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from scratchnet.utils.errors import UserError
from scratchnet.utils.signatures import check_no_special_file, check_replaceable


@contextmanager
def atomic_write(path: Path | str, kind: str | None = None) -> Iterator[BinaryIO]:
    """Open a binary file that replaces ``path`` once it is complete.

    The bytes are written to a temporary file in the same folder and flushed to the disk. The file is then renamed,
    which is atomic. After a crash, a full disk or Ctrl-C, ``path`` is either the old file or the new one.

    Parameters
    ----------
    path : Path or str
        File to write. Missing parent folders are created.
    kind : str or None
        Description of the file that a command writes. An existing file is replaced only if it is of this kind.

    Raises
    ------
    UserError
        If the folder cannot be written, the disk is full or the existing file is of another kind; ``path`` is then
        unchanged.
    """
    path = Path(path)
    if kind is not None:
        check_replaceable(path, kind)
    handle, part = _part(path)
    try:
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.chmod(0o666 & ~_umask())
            part.replace(path)
        except OSError as error:
            raise UserError(f"{path}: could not be written ({error.strerror or error}); free some space") from error
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    _sync_folder(path.parent)


def check_writable(path: Path | str, kind: str | None = None) -> None:
    """Raise the errors that :func:`atomic_write` would raise later, at the end of a long computation.

    Raises
    ------
    UserError
        If the folder cannot be created or written, or if ``path`` is a folder or a file of another ``kind``.
    """
    if kind is not None:
        check_replaceable(Path(path), kind)
    handle, part = _part(Path(path))
    os.close(handle)
    part.unlink()


def _part(path: Path) -> tuple[int, Path]:
    """Open a temporary file in the folder of ``path``."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder, expected the name of a file to write")
    check_no_special_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        handle, name = tempfile.mkstemp(prefix=f"{_part_prefix(path)}{os.getpid()}-", suffix=".part", dir=path.parent)
    except FileExistsError as error:
        raise UserError(
            f"{path}: cannot be written (a folder is needed where there is a file); choose another output folder"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another output folder") from error
    return handle, Path(name)


_MACHINE = f"{zlib.crc32(platform.node().encode()):08x}"
"""Hash of this machine's name, for the names of temporary files."""

_NAME_LENGTH = 40
"""Characters of a file's name in the names of its temporary files: at most 160 bytes."""


def _part_prefix(path: Path) -> str:
    """Return the prefix of temporary files for ``path``; long names are cut, because file systems allow 255 bytes."""
    return f".{path.name[:_NAME_LENGTH]}.{_MACHINE}-"


def _remove_abandoned(path: Path) -> None:
    """Remove temporary files for ``path`` that killed processes of this machine have left."""
    if os.name == "nt":  # os.kill would end the process
        return
    prefix = _part_prefix(path)
    for part in path.parent.glob(f"{glob.escape(prefix)}*.part"):
        pid = part.name.removeprefix(prefix).partition("-")[0]
        if pid.isdecimal() and not _is_running(int(pid)):
            with suppress(OSError):
                part.unlink()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _umask() -> int:
    """Return the process's file creation mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Flush a rename to the disk. Windows cannot open a folder, but journals renames."""
    with suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
