"""Opening image files: their headers and their pixels.

Every image file is opened here, so that `inspect_image` and `open_image` agree about a file. Whatever a decoder raises
becomes a message of one line.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps

from scratchnet.data.image_formats import TGA_SUFFIXES, readable_formats
from scratchnet.data.image_headers import TIFF_SUBFILE, ImageHeader, decoder_tiles, loses_bits, read_header
from scratchnet.data.libtiff import capture_libtiff_errors
from scratchnet.data.pixel_limits import check_promised_pixels
from scratchnet.data.unreadable_images import UnsupportedTiffError, unreadable_image_error
from scratchnet.utils.errors import UserError
from scratchnet.utils.input_files import BoundedFile, check_regular_file

for _name in ("PIL", "tifffile"):  # without a handler, their logs would go to the standard error stream
    logging.getLogger(_name).addHandler(logging.NullHandler())


def inspect_image(path: Path | str) -> ImageHeader:
    """Return the header of an image file without decoding its pixels; errors as in `open_image`."""
    try:
        with _opened(path) as (image, _):
            return read_header(image)
    except UnsupportedTiffError as error:  # tifffile may be able to read it
        return ImageHeader("TIFF", "", error.size, error.orientation, 1, "", None, None)


@contextmanager
def open_image(path: Path | str, upright: bool = True) -> Iterator[tuple[Image.Image, ImageHeader]]:
    """Open a file with one image: decoded, upright, and in the mode of the file.

    With ``upright=False`` the image is not rotated unless Pillow has already done so, and keeps its orientation tag.

    Raises
    ------
    UserError
        When the file is missing, not a regular file, empty, damaged, not an image of the `FORMATS`, holds several
        images, or has colours of 16 bits per channel.
    """
    with _opened(path) as (image, file):
        header = read_header(image)
        if header.frames > 1:
            raise UserError(f"{path}: holds {header.frames} images, expected one; save each as a file of its own")
        if loses_bits(image, header, file):
            colour = "grey" if header.mode == "L" else "colour"
            message = f"{path}: a {colour} image of 16 bits per channel, expected 8 bits; convert it to an 8-bit PNG"
            if header.format == "TIFF":
                raise UnsupportedTiffError(message, header.size, header.orientation)
            raise UserError(message)
        with capture_libtiff_errors(decoder_tiles(image)) as errors:
            image.load()
        if errors:
            raise OSError(errors[0])
        if upright:
            ImageOps.exif_transpose(image, in_place=True)
    yield image, header


@contextmanager
def _opened(path: Path | str) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """Open an image file; every error becomes a message of one line about the file."""
    check_regular_file(path, "an image file")
    try:
        with BoundedFile(path) as file:
            tga = ("TGA",) if Path(path).suffix.lower() in TGA_SUFFIXES else ()
            with Image.open(file, formats=(*readable_formats(), *tga)) as image:
                check_promised_pixels(path, image.height, image.width)
                if image.format == "TIFF" and image.tag_v2.get(TIFF_SUBFILE, 0) & 1:  # type: ignore[attr-defined]
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
    except Exception as error:  # decoders raise all kinds of errors on damaged input
        raise unreadable_image_error(path) from error
