"""Writing a mask row by row as a palette PNG.

A PNG consists of a signature and chunks of length, type, data and checksum. The pixels are one zlib stream in which
each row is preceded by the number of its filter (PNG specification, third edition, sections 5, 7 and 11). Pillow can
write only a complete image.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.mask_classes import CLASSES, classes_text
from scratchnet.data.palette import PALETTE
from scratchnet.utils.files import atomic_write
from scratchnet.utils.signatures import signature

_INDEXED, _NO_FILTER = 3, 0


def write_mask_rows(
    path: Path | str,
    rows: Iterable[Array],
    size: tuple[int, int],
    kind: str | None = None,
    palette: Array | None = None,
    classes: Sequence[str] | None = None,
) -> None:
    """Write a mask like `write_mask`, from chunks of rows in order from top to bottom.

    Parameters
    ----------
    path : Path or str
        Unchanged unless all rows arrive.
    rows : iterable of (rows, w) uint8
    size : (int, int)
        Height and width of the mask.
    kind, palette, classes
        As in `write_mask`.
    """
    colours = PALETTE if palette is None else palette
    with atomic_write(path, kind) as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", size[1], size[0], 8, _INDEXED, 0, 0, 0)))
        file.write(_chunk(b"PLTE", colours.tobytes()))
        if kind is not None:
            file.write(_chunk(b"tEXt", b"Description\0" + signature(kind).encode("latin-1")))
        if classes:
            file.write(_chunk(b"tEXt", f"{CLASSES}\0{classes_text(classes)}".encode("latin-1")))
        for data in _compressed(rows, size):
            file.write(_chunk(b"IDAT", data))
        file.write(_chunk(b"IEND", b""))


def _compressed(rows: Iterable[Array], size: tuple[int, int]) -> Iterator[bytes]:
    """Yield the non-empty parts of the compressed pixel stream."""
    stream, height = zlib.compressobj(), 0
    for part in rows:
        if part.dtype != np.uint8 or part.ndim != 2 or part.shape[1] != size[1]:
            raise ValueError(f"write_mask_rows: expected (rows, {size[1]}) uint8, got {part.shape} {part.dtype}")
        height += len(part)
        filtered = np.pad(part, ((0, 0), (1, 0)), constant_values=_NO_FILTER)
        if data := stream.compress(filtered.tobytes()):
            yield data
    if height != size[0]:
        raise ValueError(f"write_mask_rows: expected {size[0]} rows, got {height}")
    yield stream.flush()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
