"""Capture of the errors that libtiff, a C library used by Pillow, writes to the standard error stream."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

_lock = threading.Lock()
_ERROR = re.compile(rb"^[\w.]*: (?!.*%\|)", re.MULTILINE)
"""``MODULE: message``, possibly several lines; a progress bar drawn by another thread does not match."""


@contextmanager
def capture_libtiff_errors(tiles: Sequence[Any]) -> Iterator[list[str]]:
    """Collect the errors that libtiff writes to the standard error stream while an image is decoded.

    Other output is passed on.
    """
    errors: list[str] = []
    if not any(tile[0] == "libtiff" for tile in tiles):
        yield errors
        return
    with _lock, ExitStack() as stack:
        try:
            captured = stack.enter_context(tempfile.TemporaryFile())
            original = os.dup(2)
        except OSError:  # a full disk, or no standard error stream
            yield errors
            return
        os.dup2(captured.fileno(), 2)
        try:
            yield errors
        finally:
            os.dup2(original, 2)
            os.close(original)
            captured.seek(0)
            output = captured.read()
            if _ERROR.search(output):
                errors.append(output.decode(errors="replace").strip())
            elif output:
                with suppress(OSError):
                    os.write(2, output)
