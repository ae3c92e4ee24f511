"""Image files of unusual encodings, built byte by byte."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

CLASSES = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], np.uint8)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    """Return a file's bytes."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Build a PNG of any bit depth."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def tiff(width: int, height: int, data: bytes, **tags: int | tuple[int, ...]) -> bytes:
    """Build an uncompressed TIFF of one strip; values of more than 4 bytes are not needed here."""
    numbers = {"bits": 258, "compression": 259, "photometric": 262, "orientation": 274, "sampleformat": 339, "sub": 254}
    entries = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
    entries |= {numbers[name]: value for name, value in tags.items()}
    body = b"".join(
        struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, v) for tag, v in sorted(entries.items())
    )
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + struct.pack("<H", len(entries)) + body + bytes(4)
