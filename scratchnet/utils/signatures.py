"""Protect users' files: commands only replace files that they have written themselves.

A command specifies the *kind* of every file that it writes, and the file contains a sentence with its kind
(:func:`signature`). An existing file is replaced only if it contains the signature of its kind, if it is empty, or
inside :func:`overwriting` (the flag ``--overwrite``). Text files that users may edit are *sealed* with a hash: an
edited file is not replaced.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from scratchnet.utils.errors import UserError
from scratchnet.utils.options import for_caller

REPORT, METRICS, OVERLAY = "report", "metrics", "overlay"
"""Kinds that several commands write or read."""

_OVERWRITING = ContextVar("overwriting", default=False)

_MARKS = {
    "checkpoint": b'"versions": {"scratchnet"',
    "ONNX model": b"\x12\x0ascratchnet",
    "log": b"epoch,iteration,learning_rate,train_loss",
    "table of image scores": b"image,mean_iou,accuracy,",
    "table of objects": b"image,object,class,area_px,centroid_row_px,",
    "summary of objects": b"image,class,objects,area_px,",
}
"""Byte strings that identify files which cannot contain a signature."""

_SEARCHED_BYTES = 1 << 12
"""Bytes at the beginning and at the end of a file that are searched for its kind."""

_SEAL = re.compile(rb"# written by scratchnet: [a-z ]+, SHA-256 of what follows ([0-9a-f]{64})\n")


def signature(kind: str) -> str:
    """Return the sentence that identifies a file as one that a later command may replace."""
    return f"written by scratchnet: {kind}"


def sealed(text: str, kind: str) -> str:
    """Return a text with an additional first line by which later edits are detected."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"# {signature(kind)}, SHA-256 of what follows {digest}\n{text}"


def seal_is_intact(content: bytes) -> bool:
    """Return whether a sealed text is complete and unchanged."""
    found = _SEAL.match(content)
    return found is not None and hashlib.sha256(content[found.end() :]).hexdigest().encode() == found[1]


def is_overwriting() -> bool:
    """Return whether existing files of any origin may be replaced."""
    return _OVERWRITING.get()


@contextmanager
def overwriting(on: bool = True) -> Iterator[None]:
    """Replace existing files of any origin inside this block."""
    token = _OVERWRITING.set(on)
    try:
        yield
    finally:
        _OVERWRITING.reset(token)


def check_replaceable(path: Path, kind: str) -> None:
    """Raise a UserError for an existing file that is not of the kind that a command writes.

    Raises
    ------
    UserError
        If ``path`` exists, is not empty and does not contain the signature of its kind, or is a broken link, except
        inside :func:`overwriting`; if it is a device, a pipe or a socket, even there.
    """
    check_no_special_file(path)
    if is_overwriting() or not os.path.lexists(path) or path.is_dir():
        return
    if not path.exists():
        raise UserError(
            f"{path}: is a link to {path.readlink()}, which is not there; choose another name or folder, or "
            f"{for_caller('add --overwrite to replace it', 'delete it')}"
        )
    if path.stat().st_size > 0 and not _is_ours(path, kind):
        raise UserError(
            f"{path}: exists and is no {kind} written by scratchnet; choose another name or folder, or "
            f"{for_caller('add --overwrite to replace it', 'delete it')}"
        )


def has_signature(path: Path, kind: str) -> bool:
    """Return whether a file is of the kind that a command wrote, and unchanged if such a change can be detected."""
    return _is_ours(path, kind)


def check_no_special_file(path: Path) -> None:
    """Raise a UserError if ``path`` is a device, a named pipe or a socket: ``/dev/null`` must never be replaced.

    Raises
    ------
    UserError
        If ``path`` is, or is a link to, something other than a file or a folder.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UserError(f"{path}: is a device, a pipe or a socket, expected the name of a file to write")


def _is_ours(path: Path, kind: str) -> bool:
    try:
        file = path.open("rb")
    except PermissionError as error:
        raise UserError(f"{path}: exists and may not be read; choose another name or folder") from error
    with file:
        begin = file.read(_SEARCHED_BYTES)
        file.seek(max(0, path.stat().st_size - _SEARCHED_BYTES))
        ends = begin + file.read(_SEARCHED_BYTES)
    if _SEAL.match(begin) and not seal_is_intact(path.read_bytes()):
        return False
    return signature(kind).encode() in ends or (kind in _MARKS and _MARKS[kind] in ends)
