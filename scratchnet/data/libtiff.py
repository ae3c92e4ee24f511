"""What libtiff, a C library below Pillow, says on the standard error stream beside our own messages."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

_lock = threading.Lock()
_COMPLAINT = re.compile(rb"^[\w.]*: (?!.*%\|)", re.MULTILINE)
"""``MODULE: what is wrong``, perhaps with more lines; a progress bar, which another thread may draw, is none."""


@contextmanager
def capture_libtiff_errors(tiles: Sequence[Any]) -> Iterator[list[str]]:
    """Collect what libtiff, a C library, writes to the standard error stream while an image is decoded.

    What others write there in the meantime is passed on.
    """
    complaints: list[str] = []
    if not any(tile[0] == "libtiff" for tile in tiles):
        yield complaints
        return
    with _lock, ExitStack() as stack:
        try:
            catch = stack.enter_context(tempfile.TemporaryFile())
            true = os.dup(2)
        except OSError:  # a full disk, or no standard error stream
            yield complaints
            return
        os.dup2(catch.fileno(), 2)
        try:
            yield complaints
        finally:
            os.dup2(true, 2)
            os.close(true)
            catch.seek(0)
            heard = catch.read()
            if _COMPLAINT.search(heard):
                complaints.append(heard.decode(errors="replace").strip())
            elif heard:
                with suppress(OSError):
                    os.write(2, heard)
