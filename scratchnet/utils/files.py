"""Writing files so that a reader never sees half of one, and opening only what is a file."""

import glob
import io
import os
import platform
import stat
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from scratchnet.utils.errors import UserError
from scratchnet.utils.signatures import check_no_special_file, check_replaceable


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


class BoundedFile(io.BufferedReader):
    """A file open for reading that never asks for more memory than it has bytes.

    Python takes memory for as many bytes as a reader asks for, before it reads; decoders ask for what a damaged file
    says of its own parts.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes, or all that are left."""
        if size is None or size < 0:
            return super().read()
        return super().read(min(size, max(0, self._size - self.tell())))


@contextmanager
def atomic_write(path: Path | str, kind: str | None = None) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of ``path`` only once it is complete.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the file is then renamed, which
    a file system does in one step. After a crash, a full disk or Ctrl-C, ``path`` holds either the old file or the
    new one.

    Parameters
    ----------
    path : Path or str
        The file to write. Missing parent folders are made.
    kind : str or None
        What a command writes, in words. An existing file is then replaced only if it is of this kind.

    Raises
    ------
    UserError
        When the folder cannot be written, the disk is full or the existing file is somebody else's; ``path`` is then
        untouched.
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
    """Raise at once what :func:`atomic_write` would raise at the end of a long piece of work.

    Raises
    ------
    UserError
        When the folder cannot be made or written, ``path`` is a folder, or it is a file of another ``kind``.
    """
    if kind is not None:
        check_replaceable(Path(path), kind)
    handle, part = _part(Path(path))
    os.close(handle)
    part.unlink()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no second process works in it, while the block runs.

    The folder is made if it is missing, and removed again if nothing was written to it. The system's lock on a file
    ends with the process, however that ends, and is not shared by processes it forks. Where there are no such locks
    (Windows, some network drives) nothing is held.

    Raises
    ------
    UserError
        When another process holds the folder, or it cannot be made.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
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
                with suppress(OSError):  # where a file that is open cannot be removed
                    path.unlink()
    finally:
        for place in missing:
            with suppress(OSError):  # it holds something
                place.rmdir()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    while True:
        with path.open("ab") as file:
            try:
                import fcntl

                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                raise UserError(
                    f"{path.parent}: another process writes into this folder now; wait for its end, or choose another "
                    "folder"
                ) from error
            except (ImportError, OSError):
                pass
            if not _is_still(file, path):  # the process before has just removed it: this lock holds off nobody
                continue
            yield
            return


def _is_still(file: BinaryIO, path: Path) -> bool:
    """Return whether an open file is the one that its path names now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _part(path: Path) -> tuple[int, Path]:
    """Open a temporary file beside ``path``."""
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


_WRITER = f"{zlib.crc32(platform.node().encode()):08x}"
"""This machine, in the names of temporary files."""

_KEPT = 40
"""Characters of a file's name that are kept in those of temporary files: 160 bytes at most."""


def _part_prefix(path: Path) -> str:
    """Return how names of temporary files for ``path`` begin; of a long name a part, as names end at 255 bytes."""
    return f".{path.name[:_KEPT]}.{_WRITER}-"


def _remove_abandoned(path: Path) -> None:
    """Remove what processes of this machine that were killed have left of earlier attempts to write ``path``."""
    if os.name == "nt":  # there is no way to ask for a process without touching it
        return
    prefix = _part_prefix(path)
    for part in path.parent.glob(f"{glob.escape(prefix)}*.part"):
        pid = part.name.removeprefix(prefix).partition("-")[0]
        if pid.isdecimal() and not _runs(int(pid)):
            with suppress(OSError):
                part.unlink()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


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
