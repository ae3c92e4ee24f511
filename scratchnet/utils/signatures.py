"""Nobody's file is replaced unasked: how a command knows the files that it may write over.

A command names the *kind* of every file that it writes, and the file carries a sentence that says so
(:func:`signature`). An existing file is replaced only where it carries the sentence of its kind, where it is empty, or
inside :func:`overwriting`, which is the flag ``--overwrite``. A text that people are meant to edit is *sealed*: once it
has been changed, it is theirs.
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

REPORT, METRICS = "report", "metrics"
"""Kinds that several commands write."""

_OVERWRITING = ContextVar("overwriting", default=False)

_SIGNS = {
    "checkpoint": b'"versions": {"scratchnet"',
    "ONNX model": b"\x12\x0ascratchnet",
    "log": b"epoch,iteration,learning_rate,train_loss",
}
"""What tells kinds of files that have no room for a sentence."""

_LOOKED_AT = 1 << 12
"""Bytes at the beginning and at the end of a file in which its kind is looked for."""

_SEAL = re.compile(rb"# written by scratchnet: [a-z ]+, SHA-256 of what follows ([0-9a-f]{64})\n")


def signature(kind: str) -> str:
    """Return the sentence by which a later command knows a file as one that it may replace."""
    return f"written by scratchnet: {kind}"


def sealed(text: str, kind: str) -> str:
    """Return a text that people may edit, with a first line by which an edited one is known."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"# {signature(kind)}, SHA-256 of what follows {digest}\n{text}"


def seal_is_intact(content: bytes) -> bool:
    """Return whether a sealed text is whole and as it was written."""
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
    """Refuse to replace a file that is not of the kind that a command writes there.

    Raises
    ------
    UserError
        When ``path`` exists, is not empty and does not carry the kind's signature, or is a link to nothing, except
        inside :func:`overwriting`; when it is a device, a pipe or a socket, even there.
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


def check_no_special_file(path: Path) -> None:
    """Refuse to put a file in the place of a device, a named pipe or a socket: ``/dev/null`` is never meant.

    Raises
    ------
    UserError
        When ``path`` is, or is a link to, what is neither a file nor a folder.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UserError(f"{path}: is a device, a pipe or a socket, expected the name of a file to write")


def _is_ours(path: Path, kind: str) -> bool:
    try:
        file = path.open("rb")
    except PermissionError as error:
        raise UserError(f"{path}: exists and may not be read; choose another name or folder") from error
    with file:
        begin = file.read(_LOOKED_AT)
        file.seek(max(0, path.stat().st_size - _LOOKED_AT))
        ends = begin + file.read(_LOOKED_AT)
    if _SEAL.match(begin) and not seal_is_intact(path.read_bytes()):
        return False
    return signature(kind).encode() in ends or (kind in _SIGNS and _SIGNS[kind] in ends)
