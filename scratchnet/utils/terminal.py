"""Output to a terminal, pipe or file that cannot encode some characters, is full or is closed.

A program's results matter more than its output: a table that cannot be printed must not stop training.
"""

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PLAIN = {
    "≤": "<=", "≥": ">=", "×": "x", "…": "...", "→": "->", "←": "<-", "↔": "<->", "−": "-", "–": "-", "—": "-",
    "·": "*", "²": "^2", "³": "^3", "µ": "u", "ᵀ": "^T", "±": "+-", "“": '"', "”": '"', "‘": "'", "’": "'", "≈": "~",
    "√": "sqrt", "∂": "d", "∞": "inf", "½": "1/2", "¼": "1/4", "°": " deg", "█": "#", "■": "#", "□": ".", "•": "*",
    "│": "|", "─": "-", "σ": "sigma", "Σ": "sum", "é": "e", "ä": "a", "ö": "o", "ü": "u",
}  # fmt: skip
"""Replacements for characters that the encoding lacks; "?" replaces any other."""

HANDLER = "scratchnet.plain"
"""Name of the error handler for encodings: ``errors=HANDLER``."""


def plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace characters that cannot be encoded by simpler ones; registered as the error handler ``HANDLER``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


codecs.register_error(HANDLER, plainly)


class LastingFile(io.RawIOBase):
    """A file that accepts all data, even if the underlying file is full or closed by its reader.

    Attributes
    ----------
    failure : OSError or None
        The first error; after it, nothing is written to the underlying file.
    """

    def __init__(self, file: Any) -> None:
        self.file = file
        self.failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write the data, or discard it if that fails."""
        size = len(memoryview(data).cast("B"))
        if self.failure is None:
            try:
                written: int | None = self.file.write(data)
                return size if written is None else written
            except OSError as error:
                self.failure = error
        return size

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether the underlying file is a terminal."""
        return bool(self.file.isatty())

    def fileno(self) -> int:
        """Return the descriptor of the underlying file."""
        return int(self.file.fileno())


@contextmanager
def lasting_output() -> Iterator[list[LastingFile]]:
    """Suppress errors from printing inside the context, and yield the underlying files of stdout and stderr.

    Streams that were replaced by a notebook or a test are left unchanged, but characters that they cannot encode are
    replaced.
    """
    before, files = (sys.stdout, sys.stderr), list[LastingFile]()
    occupy_closed_files()
    sys.stdout, sys.stderr = (_lasting(stream, files) for stream in before)
    try:
        yield files
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def last_from_now_on() -> None:
    """Apply `lasting_output` until the program ends."""
    occupy_closed_files()
    sys.stdout, sys.stderr = (_lasting(stream, []) for stream in (sys.stdout, sys.stderr))


def occupy_closed_files() -> None:
    """Open the null device for each standard file descriptor that is closed.

    Otherwise the next opened file gets its number, and messages are written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def exit_code(code: int, files: list[LastingFile]) -> int:
    """Return the exit code of a command that returned ``code``, taking output errors into account.

    A closed pipe (``| head``) gives 141, as in a shell; any other failure is reported on stderr and gives 2.
    """
    failure = files[0].failure if files else None
    if code or failure is None:
        return code
    if isinstance(failure, BrokenPipeError) or failure.errno == errno.EPIPE:
        return 141
    print(f"scratchnet: error: not everything could be printed ({failure.strerror})", file=sys.stderr)
    return 2


def _lasting(stream: Any, files: list[LastingFile]) -> Any:
    """Return a stream that prints to the same file and never fails."""
    if stream is None:  # the program was started without it
        return io.TextIOWrapper(io.BufferedWriter(LastingFile(io.BytesIO())), encoding="utf-8", line_buffering=True)
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # with `python -u` there is no buffer
    if stream not in (sys.__stdout__, sys.__stderr__) or not isinstance(raw, io.RawIOBase):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors=HANDLER)
        return stream
    with suppress(OSError):
        stream.flush()
    files.append(LastingFile(raw))
    return io.TextIOWrapper(
        io.BufferedWriter(files[-1]),
        encoding=stream.encoding,
        errors=HANDLER,
        line_buffering=True,
    )
