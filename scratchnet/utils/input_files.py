"""Open files for reading: only regular files, with bounded memory."""

import io
import os
import stat
from pathlib import Path

from scratchnet.utils.errors import UserError


def check_regular_file(path: Path | str, expected: str = "a file") -> None:
    """Raise a UserError unless ``path`` is a regular file, without opening it: opening a named pipe never returns.

    Parameters
    ----------
    path : Path or str
    expected : str
        Description of the file for the message, such as "an image file".
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
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    raise UserError(f"{path}: is {kind}, expected {expected}; save its content as a file first")


class BoundedFile(io.BufferedReader):
    """A file open for reading that never allocates more memory than the file has bytes.

    Python allocates the requested number of bytes before it reads, and decoders request the sizes stored in the file,
    which are wrong in a damaged file.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to ``size`` bytes, or all remaining ones."""
        if size is None or size < 0:
            return super().read()
        return super().read(min(size, max(0, self._size - self.tell())))
