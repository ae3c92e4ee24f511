"""Reasons why a file cannot be read as an image, as error messages."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image, TiffImagePlugin

from scratchnet.data.file_types import HEAD_BYTES, detect_file_type, image_format_of
from scratchnet.data.image_formats import FORMATS
from scratchnet.data.image_headers import ORIENTATION, TIFF_HEIGHT, TIFF_WIDTH
from scratchnet.data.tiff_files import TIFFFILE_HINT
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import for_caller


class UnsupportedTiffError(UserError):
    """An undamaged TIFF that Pillow cannot read, or not without loss.

    Attributes
    ----------
    size : (int, int)
        Height and width of the upright image.
    orientation : int
    """

    def __init__(self, message: str, size: tuple[int, int], orientation: int) -> None:
        super().__init__(message)
        self.size, self.orientation = size, orientation


def unreadable_image_error(path: Path | str) -> UserError:
    """Return the error for a file that is no readable image: empty, of another type, or damaged."""
    with Path(path).open("rb") as file:
        head = file.read(HEAD_BYTES)
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return UserError(f"{path}: is empty (0 bytes); get or export the file again")
        found = detect_file_type(head)
        if found is None or found[0] == "text":
            found = _other_format(head) or found
        tiff = _unsupported_tiff(file, size) if found is None and image_format_of(head) == "TIFF" else None
    if tiff is not None:
        option = for_caller("--range LOW HIGH", "value_range=(low, high)")
        return UnsupportedTiffError(
            f"{path}: {tiff.description}, not a kind of image that can be read here; convert it to an 8-bit PNG, or "
            f"install {TIFFFILE_HINT} and say {option}",
            tiff.size,
            tiff.orientation,
        )
    if found is None:
        return UserError(f"{path}: damaged or no image ({size} bytes); get or export the file again")
    return UserError(f"{path}: {found[0]}, not a kind of image that can be read here; {found[1]}")


def _other_format(head: bytes) -> tuple[str, str] | None:
    """Return the format of a file that Pillow recognises but that is not one of the `FORMATS`."""
    for name, (_, accept) in Image.OPEN.items():
        with suppress(Exception):
            if name not in FORMATS and accept is not None and accept(head[:16]) is True:
                return f"a {name} image", "convert it to PNG"
    return None


class _UnsupportedTiff(NamedTuple):
    """Description, (height, width) of the upright image, and orientation."""

    description: str
    size: tuple[int, int]
    orientation: int


def _unsupported_tiff(file: BinaryIO, size: int) -> _UnsupportedTiff | None:
    """Return the description of an undamaged TIFF that Pillow does not support; None if it is damaged."""
    try:
        tags = _read_tags(file)
        starts = tags.get(273, tags.get(324, ()))
        lengths = tags.get(279, tags.get(325, ()))
        if not starts or any(s + n > size for s, n in zip(starts, lengths, strict=True)):
            return None
        bits, form = tuple(tags.get(258, (1,))), tuple(tags.get(339, (1,)))
        compression, photometric, planes = tags.get(259, 1), tags.get(262), tags.get(277, 1)
        width, height, orientation = int(tags[TIFF_WIDTH]), int(tags[TIFF_HEIGHT]), int(tags.get(ORIENTATION, 1))
        key = (tags.prefix, photometric, form[:1], tags.get(266, 1), bits, tuple(tags.get(338, ())))
    except Exception:  # damaged in yet another way
        return None
    shape = (width, height) if 5 <= orientation <= 8 else (height, width)
    if compression not in TiffImagePlugin.COMPRESSION_INFO:
        return _UnsupportedTiff(f"a TIFF with compression {compression}", shape, orientation)
    if key in TiffImagePlugin.OPEN_INFO:
        return None
    names = {1: "unsigned", 2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
    samples = f"{bits[0]}-bit {names.get(form[0], 'unknown')} samples"
    return _UnsupportedTiff(f"a TIFF with {planes} channel{'s' * (planes > 1)} of {samples}", shape, orientation)


def _read_tags(file: BinaryIO) -> Any:
    """Return the tags of the first image of a TIFF."""
    file.seek(0)
    head = file.read(8)
    if head[2] == 43 or head[3] == 43:  # BigTIFF
        head += file.read(8)
    tags = TiffImagePlugin.ImageFileDirectory_v2(head)
    file.seek(tags.next)
    tags.load(file)
    return tags
