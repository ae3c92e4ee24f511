"""Writing files so that a reader never sees half of one, and opening only what is a file."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from scratchnet.errors import UserError


def check_regular_file(path: Path | str, expected: str = "a file") -> None:
    """Raise a UserError unless ``path`` is a regular file, without opening it: opening a named pipe waits for ever.

    Parameters
    ----------
    path : Path or str
    expected : str
        For the message, for example "an image file".
    """
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{path}: no such file; check the name") from error
    except PermissionError as error:
        raise UserError(f"{path}: may not be read; change the file's permissions") from error
    except (OSError, ValueError) as error:  # a loop of links, a name that is too long, a NUL in it
        words = getattr(error, "strerror", None) or error
        raise UserError(f"{str(path)!r}: cannot be opened ({words}); check the name") from error
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise UserError(f"{path}: is a folder, expected {expected}")
    kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    what = kinds.get(stat.S_IFMT(mode), "a device")
    raise UserError(f"{path}: is {what}, expected {expected}; save its content as a file first")


@contextmanager
def atomic_write(path: Path | str) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of ``path`` only once it is complete.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the file is then renamed, which
    a file system does in one step. After a crash, a full disk or Ctrl-C, ``path`` holds either the old file or the
    new one.

    Parameters
    ----------
    path : Path or str
        The file to write. Missing parent folders are made.

    Raises
    ------
    UserError
        When the folder cannot be written or the disk is full; ``path`` is then untouched.
    """
    path = Path(path)
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


def check_writable(path: Path | str) -> None:
    """Raise at once what :func:`atomic_write` would raise at the end of a long piece of work.

    Raises
    ------
    UserError
        When the folder cannot be made or written, or ``path`` is a folder.
    """
    handle, part = _part(Path(path))
    os.close(handle)
    part.unlink()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder that is there, so that no second process works in it, while the block runs.

    The system's lock on a file ends with the process, however that ends, and is not shared by processes it forks.
    Where there are no such locks (Windows, some network drives) nothing is held.

    Raises
    ------
    UserError
        When another process holds the folder.
    """
    path = folder / ".lock"
    with path.open("ab") as file:
        try:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise UserError(
                f"{folder}: another process writes into this folder now; wait for its end, or choose another folder"
            ) from error
        except (ImportError, OSError):
            pass
        try:
            yield
        finally:
            with suppress(OSError):  # where a file that is open cannot be removed
                path.unlink()


def _part(path: Path) -> tuple[int, Path]:
    """Open a temporary file beside ``path``."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder, expected the name of a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except FileExistsError as error:
        raise UserError(
            f"{path}: cannot be written (a folder is needed where there is a file); choose another output folder"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another output folder") from error
    return handle, Path(name)


def _umask() -> int:
    """Return the process's file creation mask (the system offers no way to read it without setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable. Windows cannot open a folder; its renames are journalled."""
    with suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
