"""Lock a folder, so that only one process writes to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from scratchnet.utils.errors import UserError


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder inside this block, so that no other process works in it.

    A missing folder is created, and removed again if nothing was written to it. The system releases a file lock when
    the process ends for any reason, and forked processes do not share it. Systems without such locks (Windows, some
    network drives) lock nothing.

    Raises
    ------
    UserError
        If another process has locked the folder, or it cannot be created.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another output folder") from error
    try:
        with _locked(path):
            try:
                yield
            finally:
                with suppress(OSError):  # some systems cannot remove an open file
                    path.unlink()
    finally:
        for created in missing:
            with suppress(OSError):  # it is not empty
                created.rmdir()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    while True:
        with path.open("ab") as file:
            try:
                import fcntl

                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                raise UserError(
                    f"{path.parent}: another process is writing to this folder; wait until it has finished, or choose "
                    "another folder"
                ) from error
            except (ImportError, OSError):
                pass
            if not _is_still(file, path):  # another process has just removed it, so the lock is useless
                continue
            yield
            return


def _is_still(file: BinaryIO, path: Path) -> bool:
    """Return whether ``path`` still refers to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
