"""The one door through which image files are opened: what a file is, and its pixels, come from the same place.

Pillow reads some fifty formats, and some of its decoders start other programs (EPS starts Ghostscript) or stand in for
libraries that are not there. Only the `FORMATS` are opened here, and whatever a decoder raises becomes one line.
"""

import logging
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from scratchnet.arrays import Array
from scratchnet.data.file_types import HEAD_BYTES, detect_file_type, image_format_of
from scratchnet.data.libtiff import capture_libtiff_errors
from scratchnet.data.pixel_limits import check_promised_pixels
from scratchnet.data.tiff_files import TIFFFILE_HINT
from scratchnet.utils.errors import UserError
from scratchnet.utils.input_files import BoundedFile, check_regular_file
from scratchnet.utils.options import for_caller

FORMATS = (
    *("PNG", "JPEG", "MPO", "TIFF", "BMP", "DIB", "GIF", "WEBP", "AVIF", "JPEG2000", "PPM", "PCX", "SGI", "SUN", "QOI"),
    *("ICO", "DDS", "HEIF"),
)
"""Pillow's names of the formats that are opened, where this Pillow knows them. No format is among them that runs a
program, needs a library of its own, or holds a vector drawing, a film or a table."""

for _name in ("PIL", "tifffile"):  # whose log goes to the standard error stream where nobody asks for it
    logging.getLogger(_name).addHandler(logging.NullHandler())

_TGA = (".tga", ".icb", ".vda", ".vst")
"""TGA has no magic number: its decoder is asked only about files of these names."""

_LOSSLESS_FORMATS = {"PNG", "BMP", "DIB", "GIF", "PPM", "PCX", "SGI", "SUN", "QOI", "ICO", "TGA"}
_LOSSLESS_TIFF = {1, 2, 3, 4, 5, 8, 32771, 32773, 32809, 32946, 34925, 50000}
"""TIFF's compressions that keep every value: none, CCITT, LZW, Deflate, PackBits, ThunderScan, LZMA, Zstandard."""

_PAGED = {"TIFF", "GIF", "PNG", "WEBP", "AVIF", "HEIF"}
"""Formats with animations or pages. Cameras put a preview beside the photo (MPO), and an icon holds its sizes."""

_WIDTH, _HEIGHT, _SUBFILE, ORIENTATION = 256, 257, 254, 274


@dataclass(frozen=True)
class ImageHeader:
    """What a file holds, from its header.

    Attributes
    ----------
    format : str
        Pillow's name, for example ``"PNG"``.
    mode : str
        Pillow's name of the pixels' form.
    size : (int, int)
        Height and width of the image when it stands upright.
    orientation : int
        The camera's note, 1 to 8; 1 where the stored pixels stand upright.
    frames : int
        Images in the file.
    rawmode : str
        Pillow's name of the stored samples' form.
    maximum : int or None
        The sample that is white, where the file says so (PPM).
    lossy : str or None
        Name of a compression that changes values, or None where every value is kept.
    white_is_zero : bool
        Whether small samples are bright, and Pillow leaves them so.
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


class UnsupportedTiffError(UserError):
    """A TIFF that is whole but of a kind that Pillow cannot read without loss.

    Attributes
    ----------
    size : (int, int)
        Height and width, upright.
    orientation : int
    """

    def __init__(self, message: str, size: tuple[int, int], orientation: int) -> None:
        super().__init__(message)
        self.size, self.orientation = size, orientation


@cache
def readable_formats() -> tuple[str, ...]:
    """Return those of the `FORMATS` that the installed Pillow can open."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def readable_suffixes() -> frozenset[str]:
    """Return the file name endings of images that can be read, in lower case, such as ``.png`` and ``.webp``."""
    formats = {*readable_formats(), "TGA"}
    found = {suffix.lower() for suffix, name in Image.registered_extensions().items() if name in formats}
    return frozenset(found - {".apng", ".avifs", ".pfm"})


def inspect_image(path: Path | str) -> ImageHeader:
    """Return what an image file holds without decoding its pixels; errors as in `open_image`."""
    try:
        with _opened(path) as (image, _):
            return _kind(image)
    except UnsupportedTiffError as error:  # which tifffile may read
        return ImageHeader("TIFF", "", error.size, error.orientation, 1, "", None, None)


@contextmanager
def open_image(path: Path | str, upright: bool = True) -> Iterator[tuple[Image.Image, ImageHeader]]:
    """Open a file with one image, pixels read and turned upright, in the mode that the file has.

    With ``upright=False`` the image is not turned if Pillow has not done so, and its note of a rotation stays.

    Raises
    ------
    UserError
        When the file is missing, no regular file, empty, damaged, no image of the `FORMATS`, holds several images, or
        has colours of 16 bits a channel.
    """
    with _opened(path) as (image, file):
        kind = _kind(image)
        if kind.frames > 1:
            raise UserError(f"{path}: holds {kind.frames} images, expected one; save each as a file of its own")
        if _is_deep_colour(image, kind, file):
            what = "grey" if kind.mode == "L" else "colour"
            words = f"{path}: a {what} image of 16 bits a channel, expected 8 bits; convert it to an 8-bit PNG"
            if kind.format == "TIFF":
                raise UnsupportedTiffError(words, kind.size, kind.orientation)
            raise UserError(words)
        with capture_libtiff_errors(_tiles(image)) as complaints:
            image.load()
        if complaints:
            raise OSError(complaints[0])
        if upright:
            ImageOps.exif_transpose(image, in_place=True)
    yield image, kind


@contextmanager
def _opened(path: Path | str) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """Open an image file and report whatever goes wrong in one line about the file."""
    check_regular_file(path, "an image file")
    try:
        with BoundedFile(path) as file:
            tga = ("TGA",) if Path(path).suffix.lower() in _TGA else ()
            with Image.open(file, formats=(*readable_formats(), *tga)) as image:
                check_promised_pixels(path, image.height, image.width)
                if image.format == "TIFF" and image.tag_v2.get(_SUBFILE, 0) & 1:  # type: ignore[attr-defined]
                    raise UserError(
                        f"{path}: a preview (a camera's raw image?), not a kind of image that can be read here; "
                        "develop the raw image and save it as PNG or JPEG"
                    )
                yield image, file
    except (UserError, MemoryError):
        raise
    except PermissionError as error:
        raise UserError(f"{path}: may not be read; change the file's permissions") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too large to open at once ({error}); cut it into parts first") from error
    except Exception as error:  # decoders raise whatever their damaged input leads them to
        raise _failure(path) from error


def _kind(image: Image.Image) -> ImageHeader:
    """Describe an image that is open but not decoded."""
    rawmode, maximum = _samples(image)  # before a PNG is read to its end, where its orientation may be
    width, height = image.size
    tags: Any = getattr(image, "tag_v2", {})
    if image.format == "TIFF":  # whose size Pillow gives sometimes as stored, sometimes upright
        width, height = tags[_WIDTH], tags[_HEIGHT]
    orientation = image.getexif().get(ORIENTATION, 1)
    orientation = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
    size = (width, height) if orientation >= 5 else (height, width)
    frames = int(getattr(image, "n_frames", 1)) if image.format in _PAGED else 1
    inverted = image.format == "TIFF" and image.mode[:1] in "IF" and tags.get(262) == 0
    return ImageHeader(
        str(image.format), image.mode, size, orientation, frames, rawmode, maximum, _lossy(image), inverted
    )


def _tiles(image: Image.Image) -> tuple[Any, ...]:
    """Return what Pillow will decode; its versions before 11 say None where a format has something else to open."""
    return tuple(getattr(image, "tile", None) or ())


def _samples(image: Image.Image) -> tuple[str, int | None]:
    """Return the form of the stored samples, and the sample that is white where Pillow scales by it."""
    tile = next(iter(_tiles(image)), None)
    if tile is None:
        return image.mode, None
    args = tile[3]
    if tile[0] in ("ppm", "ppm_plain"):
        form, maximum = (args, None) if isinstance(args, str) else (args[0], args[1])
        return str(form), maximum
    first = args if isinstance(args, str) else next(iter(args or ()), None)
    return (first if isinstance(first, str) else image.mode), None


def _lossy(image: Image.Image) -> str | None:
    """Name the compression of an image if it changes values."""
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
    """Walk the chunks of a WebP: ``VP8L`` holds pixels without loss, ``VP8`` with."""
    file: Any = image.fp  # type: ignore[attr-defined]
    file.seek(12)
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        if name in (b"VP8L", b"VP8 ", b"ANMF"):
            return bool(name == b"VP8L")
        file.seek(length + length % 2, os.SEEK_CUR)
    return False


_SIXTEEN_BITS = re.compile(r"(RGB|LA|CMYK)\w*;16[BLNS]|\bL;16")
"""Samples that Pillow would cut down to their upper 8 bits, of which a 12-bit camera fills the lowest four."""


def _is_deep_colour(image: Image.Image, kind: ImageHeader, file: BinaryIO) -> bool:
    """Return whether Pillow would cut samples down to 8 bits."""
    if any(tile[0] == "SGI16" or _SIXTEEN_BITS.search(str(tile)) for tile in (*_tiles(image), ("", kind.rawmode))):
        return True
    if kind.format == "TIFF":  # also where every channel is a plane of its own
        bits: Any = image.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
        return kind.mode[:1] not in "IF" and max(bits) > 8
    if kind.format == "PPM":
        return kind.mode == "RGB" and (kind.maximum or 0) > 255
    if kind.format != "JPEG2000" or kind.mode not in {"RGB", "RGBA", "LA", "YCbCr"}:
        return False
    here = file.tell()
    file.seek(0)
    start = file.read(1 << 16)
    file.seek(here)
    found = start.find(b"\xff\x4f\xff\x51")  # the codestream's header, which gives every component's bits
    return found >= 0 and any(bits & 0x7F > 7 for bits in start[found + 42 : found + 43])


_STORED = re.compile(r"(1|L)(?:;([24]?)(I?)R?)?")
"""Pillow's names of stored samples of one channel: bits if they are 2 or 4, and I where 0 is white."""


def stored_samples(values: Array, kind: ImageHeader) -> Array:
    """Return samples as the file has them.

    Pillow's decoders stretch 2 and 4 bits to 8, swap white and black, and scale PPM by its maximum; that is undone.
    """
    if kind.maximum is not None:  # stored · 255 / maximum, or 65535 instead of 255, rounded
        top = 255 if kind.maximum <= 255 else 65535
        return np.rint(values.astype(np.float64) * kind.maximum / top).astype(np.int64)
    found = _STORED.fullmatch(kind.rawmode)
    if values.dtype == bool:
        return (values ^ bool(found and found[3])).astype(np.uint8)
    if found is None:
        return values
    bits = int(found[2] or 8)
    top = 2**bits - 1
    samples: Array = values // (255 // top)
    return top - samples if found[3] else samples


def _failure(path: Path | str) -> UserError:
    """Say why a file that is there cannot be read as an image: empty, of another kind, or damaged."""
    with Path(path).open("rb") as file:
        head = file.read(HEAD_BYTES)
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return UserError(f"{path}: is empty (0 bytes); get or export the file again")
        kind = detect_file_type(head)
        if kind is None or kind[0] == "text":
            kind = _other_format(head) or kind
        tiff = _unsupported_tiff(file, size) if kind is None and image_format_of(head) == "TIFF" else None
    if tiff is not None:
        words, shape, orientation = tiff
        message = f"{path}: {words}, not a kind of image that can be read here; convert it to an 8-bit PNG, or install "
        return UnsupportedTiffError(
            f"{message}{TIFFFILE_HINT} and say {for_caller('--range LOW HIGH', 'value_range=(low, high)')}",
            shape,
            orientation,
        )
    if kind is None:
        return UserError(f"{path}: damaged or no image ({size} bytes); get or export the file again")
    return UserError(f"{path}: {kind[0]}, not a kind of image that can be read here; {kind[1]}")


def _other_format(head: bytes) -> tuple[str, str] | None:
    """Return which of the formats that Pillow knows but that are not opened here a file's first bytes announce."""
    for name, (_, accept) in Image.OPEN.items():
        with suppress(Exception):
            if name not in FORMATS and accept is not None and accept(head[:16]) is True:
                return f"a {name} image", "convert it to PNG"
    return None


def _unsupported_tiff(file: BinaryIO, size: int) -> tuple[str, tuple[int, int], int] | None:
    """Describe a TIFF that is whole but of a kind that Pillow does not know; None for one that is damaged.

    Words, height and width when upright, and the orientation.
    """
    try:
        file.seek(0)
        head = file.read(8)
        if head[2] == 43 or head[3] == 43:
            head += file.read(8)
        tags: Any = TiffImagePlugin.ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
        starts = tags.get(273, tags.get(324, ()))
        lengths = tags.get(279, tags.get(325, ()))
        if not starts or any(s + n > size for s, n in zip(starts, lengths, strict=True)):
            return None
        bits, form = tuple(tags.get(258, (1,))), tuple(tags.get(339, (1,)))
        compression, photometric, planes = tags.get(259, 1), tags.get(262), tags.get(277, 1)
        width, height, orientation = int(tags[_WIDTH]), int(tags[_HEIGHT]), int(tags.get(ORIENTATION, 1))
        key = (head[:2], photometric, form[:1], tags.get(266, 1), bits, tuple(tags.get(338, ())))
    except Exception:  # damaged in yet another way
        return None
    shape = (width, height) if 5 <= orientation <= 8 else (height, width)
    if compression not in TiffImagePlugin.COMPRESSION_INFO:
        return f"a TIFF with compression {compression}", shape, orientation
    if key in TiffImagePlugin.OPEN_INFO:
        return None
    words = {1: "unsigned", 2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}.get(form[0], "unknown")
    return f"a TIFF with {planes} channel{'s' * (planes > 1)} of {bits[0]}-bit {words} samples", shape, orientation
