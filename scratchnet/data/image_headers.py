"""Headers of image files: format, size, orientation, and how the samples are stored."""

import os
import re
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from scratchnet.arrays import Array

TIFF_WIDTH, TIFF_HEIGHT, TIFF_SUBFILE, ORIENTATION = 256, 257, 254, 274
"""Numbers of TIFF and EXIF tags."""

_LOSSLESS_FORMATS = {"PNG", "BMP", "DIB", "GIF", "PPM", "PCX", "SGI", "SUN", "QOI", "ICO", "TGA"}
_LOSSLESS_TIFF = {1, 2, 3, 4, 5, 8, 32771, 32773, 32809, 32946, 34925, 50000}
"""Lossless TIFF compressions: none, CCITT, LZW, Deflate, PackBits, ThunderScan, LZMA, Zstandard."""

_PAGED = {"TIFF", "GIF", "PNG", "WEBP", "AVIF", "HEIF"}
"""Formats with animations or pages. Further images of an MPO are previews of the photo, those of an icon its sizes."""


@dataclass(frozen=True)
class ImageHeader:
    """Properties of an image file that are known without decoding its pixels.

    Attributes
    ----------
    format : str
        Pillow's name, for example ``"PNG"``.
    mode : str
        Pillow's mode of the pixels.
    size : (int, int)
        Height and width of the upright image.
    orientation : int
        EXIF orientation, 1 to 8; 1 if the stored pixels are upright.
    frames : int
        Number of images in the file.
    rawmode : str
        Pillow's raw mode of the stored samples.
    maximum : int or None
        Value of a white sample, if the file states it (PPM).
    lossy : str or None
        Name of a lossy compression; None if the compression is lossless.
    white_is_zero : bool
        Whether 0 is white and Pillow does not invert the samples.
    """

    format: str
    mode: str
    size: tuple[int, int]
    orientation: int
    frames: int
    rawmode: str
    maximum: int | None
    lossy: str | None
    white_is_zero: bool = False


def read_header(image: Image.Image) -> ImageHeader:
    """Return the header of an image that is open but not decoded."""
    rawmode, maximum = _stored_form(image)  # before a PNG is read to its end, where its orientation may be
    width, height = image.size
    tags: Any = getattr(image, "tag_v2", {})
    if image.format == "TIFF":  # Pillow's size is sometimes the stored, sometimes the upright one
        width, height = tags[TIFF_WIDTH], tags[TIFF_HEIGHT]
    orientation = image.getexif().get(ORIENTATION, 1)
    orientation = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
    size = (width, height) if orientation >= 5 else (height, width)
    frames = int(getattr(image, "n_frames", 1)) if image.format in _PAGED else 1
    inverted = image.format == "TIFF" and image.mode[:1] in "IF" and tags.get(262) == 0
    return ImageHeader(
        str(image.format), image.mode, size, orientation, frames, rawmode, maximum, _lossy(image), inverted
    )


def decoder_tiles(image: Image.Image) -> tuple[Any, ...]:
    """Return the tiles that Pillow will decode; versions before 11 have None for some formats."""
    return tuple(getattr(image, "tile", None) or ())


def _stored_form(image: Image.Image) -> tuple[str, int | None]:
    """Return the raw mode of the stored samples, and the value of white if Pillow scales by it."""
    tile = next(iter(decoder_tiles(image)), None)
    if tile is None:
        return image.mode, None
    args = tile[3]
    if tile[0] in ("ppm", "ppm_plain"):
        form, maximum = (args, None) if isinstance(args, str) else (args[0], args[1])
        return str(form), maximum
    first = args if isinstance(args, str) else next(iter(args or ()), None)
    return (first if isinstance(first, str) else image.mode), None


def _lossy(image: Image.Image) -> str | None:
    """Return the name of an image's compression if it is lossy, else None."""
    if image.format == "TIFF":
        compression = image.tag_v2.get(259, 1)  # type: ignore[attr-defined]
        if compression in _LOSSLESS_TIFF:
            return None
        return "JPEG in a TIFF" if compression in (6, 7) else f"a TIFF with lossy compression ({compression})"
    if image.format == "WEBP":
        return None if _is_lossless_webp(image) else "a WebP with lossy compression"
    if image.format in _LOSSLESS_FORMATS:
        return None
    names = {"JPEG2000": "JPEG 2000", "MPO": "JPEG"}
    return names.get(str(image.format), str(image.format))


def _is_lossless_webp(image: Image.Image) -> bool:
    """Return whether the first image chunk of a WebP is ``VP8L`` (lossless), not ``VP8`` (lossy)."""
    file: Any = image.fp  # type: ignore[attr-defined]
    file.seek(12)
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        if name in (b"VP8L", b"VP8 ", b"ANMF"):
            return bool(name == b"VP8L")
        file.seek(length + length % 2, os.SEEK_CUR)
    return False


_SIXTEEN_BITS = re.compile(r"(RGB|LA|CMYK)\w*;16[BLNS]|\bL;16")
"""Raw modes of which Pillow keeps only the upper 8 bits; a 12-bit camera leaves the upper four empty."""


def loses_bits(image: Image.Image, header: ImageHeader, file: BinaryIO) -> bool:
    """Return whether Pillow would reduce samples of more than 8 bits to 8."""
    forms = (*decoder_tiles(image), ("", header.rawmode))
    if any(tile[0] == "SGI16" or _SIXTEEN_BITS.search(str(tile)) for tile in forms):
        return True
    if header.format == "TIFF":  # also with a separate plane for each channel
        bits: Any = image.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
        return header.mode[:1] not in "IF" and max(bits) > 8
    if header.format == "PPM":
        return header.mode == "RGB" and (header.maximum or 0) > 255
    if header.format != "JPEG2000" or header.mode not in {"RGB", "RGBA", "LA", "YCbCr"}:
        return False
    here = file.tell()
    file.seek(0)
    start = file.read(1 << 16)
    file.seek(here)
    found = start.find(b"\xff\x4f\xff\x51")  # the codestream's header, which states the bits of every component
    return found >= 0 and any(bits & 0x7F > 7 for bits in start[found + 42 : found + 43])


_SINGLE_CHANNEL = re.compile(r"(1|L)(?:;([24]?)(I?)R?)?")
"""Raw modes of one channel: the number of bits if it is 2 or 4, and I if 0 is white."""


def stored_samples(values: Array, header: ImageHeader) -> Array:
    """Return samples as they are stored in the file.

    Pillow's decoders stretch 2 and 4 bits to 8, invert samples if 0 is white, and scale PPM by its maximum; this
    function undoes that.
    """
    if header.maximum is not None:  # stored · 255 / maximum, or 65535 instead of 255, rounded
        top = 255 if header.maximum <= 255 else 65535
        return np.rint(values.astype(np.float64) * header.maximum / top).astype(np.int64)
    found = _SINGLE_CHANNEL.fullmatch(header.rawmode)
    if values.dtype == bool:
        return (values ^ bool(found and found[3])).astype(np.uint8)
    if found is None:
        return values
    bits = int(found[2] or 8)
    top = 2**bits - 1
    samples: Array = values // (255 // top)
    return top - samples if found[3] else samples
