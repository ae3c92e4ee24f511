"""Printing where the terminal, a pipe or a file knows fewer characters than we do, is full, or is closed.

What a program prints is worth less than what it computes: a table that cannot be printed must not end a training.
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
"""What is printed in place of a character that the encoding does not have; "?" for any other."""

HANDLER = "scratchnet.plain"
"""Name of the error handler for encodings: ``errors=HANDLER``."""


def plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace what cannot be encoded by plainer characters: the error handler named ``HANDLER``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


codecs.register_error(HANDLER, plainly)


class LastingFile(io.RawIOBase):
    """A file that takes everything, even when the one behind it is full or nobody reads it any more.

    Attributes
    ----------
    failure : OSError or None
        The first error; from then on nothing reaches the file behind.
    """

    def __init__(self, behind: Any) -> None:
        self.behind = behind
        self.failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write, or forget the data if that is impossible."""
        size = len(memoryview(data).cast("B"))
        if self.failure is None:
            try:
                written: int | None = self.behind.write(data)
                return size if written is None else written
            except OSError as error:
                self.failure = error
        return size

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether the file behind is a terminal."""
        return bool(self.behind.isatty())

    def fileno(self) -> int:
        """Return the number of the file behind."""
        return int(self.behind.fileno())


@contextmanager
def lasting_output() -> Iterator[list[LastingFile]]:
    """Let nothing that is printed inside raise an error; yields the files behind stdout and stderr.

    Streams that somebody has put in the place of the real ones (a notebook, a test) stay as they are, but for
    characters that they cannot encode.
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
    """Do what `lasting_output` does, until the program ends."""
    occupy_closed_files()
    sys.stdout, sys.stderr = (_lasting(stream, []) for stream in (sys.stdout, sys.stderr))


def occupy_closed_files() -> None:
    """Open the null device in place of a standard file that the program was started without.

    Otherwise the next file that is opened gets its number, and messages end up in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def exit_code(code: int, files: list[LastingFile]) -> int:
    """Return the exit code of a command that ended with ``code``, once it is known what could be printed.

    A reader that left (``| head``) is 141, as in a shell; any other failure is told on stderr and is 2.
    """
    failure = files[0].failure if files else None
    if code or failure is None:
        return code
    if isinstance(failure, BrokenPipeError) or failure.errno == errno.EPIPE:
        return 141
    print(f"scratchnet: error: not everything could be printed ({failure.strerror})", file=sys.stderr)
    return 2


def _lasting(stream: Any, files: list[LastingFile]) -> Any:
    """Return a stream that prints to the same file, but always can."""
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
