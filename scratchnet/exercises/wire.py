"""Messages between the referee and a student's process: nested values with arrays, without pickle.

A message is its length in eight bytes and then an ``.npz`` archive: the arrays, and a JSON text for everything else, in
which ``{"array": 3}`` stands for the third array.
"""

import io
import json
import zipfile
from typing import Any, BinaryIO

import numpy as np

from scratchnet.utils.npz import NpzReader

MAX_BYTES = 1 << 28
"""Size of the largest message."""


class NotSendable(TypeError):
    """A value that is neither an array nor a plain Python value."""


def encode(value: Any) -> bytes:
    """Return a message with its length in front.

    Raises
    ------
    NotSendable
        For anything but arrays of numbers and plain Python values.
    """
    arrays: list[Any] = []
    text = json.dumps(_plain(value, arrays))
    buffer = io.BytesIO()
    np.savez(buffer, text=np.frombuffer(text.encode(), np.uint8), **{str(i): a for i, a in enumerate(arrays)})
    content = buffer.getvalue()
    if len(content) > MAX_BYTES:
        raise NotSendable(f"a value of {len(content):,} bytes")
    return len(content).to_bytes(8, "big") + content


def read_message(stream: BinaryIO) -> Any:
    """Return the next message's value.

    Raises
    ------
    EOFError
        If the stream ends.
    """
    size = int.from_bytes(_read(stream, 8), "big")
    if size > MAX_BYTES:
        raise EOFError("the message is too long")
    content = _read(stream, size)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        reader = NpzReader(archive, len(content))
        text = json.loads(reader.read("text").tobytes())
        arrays = [reader.read(str(i)) for i in range(len(reader.names) - 1)]
    return _restored(text, arrays)


def _read(stream: BinaryIO, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = stream.read(size - len(content))
        if not part:
            raise EOFError("the stream has ended")
        content += part
    return content


def _plain(value: Any, arrays: list[Any]) -> Any:
    """Return the JSON form of a value; append its arrays."""
    if isinstance(value, np.ndarray | np.generic):
        if np.asarray(value).dtype.kind not in "biufc":
            raise NotSendable(f"an array of {np.asarray(value).dtype}")
        arrays.append(np.asarray(value))
        return {"array": len(arrays) - 1, "scalar": not isinstance(value, np.ndarray)}
    if isinstance(value, tuple | list):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_plain(part, arrays) for part in value]}
    if isinstance(value, dict):
        return {"dict": [[str(key), _plain(part, arrays)] for key, part in value.items()]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value if not isinstance(value, float) else value.hex()} | (
            {"float": True} if isinstance(value, float) else {}
        )
    raise NotSendable(f"a {type(value).__module__}.{type(value).__qualname__}".replace("a builtins.", "a "))


def _restored(text: dict[str, Any], arrays: list[Any]) -> Any:
    if "array" in text:
        array = arrays[text["array"]]
        return array[()] if text["scalar"] else array
    if "tuple" in text:
        return tuple(_restored(part, arrays) for part in text["tuple"])
    if "list" in text:
        return [_restored(part, arrays) for part in text["list"]]
    if "dict" in text:
        return {key: _restored(part, arrays) for key, part in text["dict"]}
    return float.fromhex(text["value"]) if text.get("float") else text["value"]
