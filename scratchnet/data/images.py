"""Image files in and out: whatever the file holds becomes (h, w, 3) uint8."""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from scratchnet.arrays import Array
from scratchnet.errors import UserError
from scratchnet.files import atomic_write

IMAGE_SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
}
"""File name endings that count as images, with Pillow's name of the format."""

_READABLE_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"}
_BROKEN_FILE = (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, struct.error, zlib.error)
"""What Pillow's decoders raise on damaged bytes (found by flipping bits in files of every format)."""


def read_image(path: Path | str) -> Array:
    """Read an image file as RGB.

    Grey, 1-bit and palette images become RGB, transparent pixels are laid on white, and the rotation that a camera
    notes in the file is carried out.

    Parameters
    ----------
    path : Path or str
        A file with one image of 8 bits a channel.

    Returns
    -------
    (h, w, 3) uint8

    Raises
    ------
    UserError
        When the file is missing, empty, damaged, no image, or of a kind whose brightness has no agreed meaning
        (16-bit, floating point, CMYK).
    """
    with open_image(path) as image:
        if image.mode not in _READABLE_MODES:
            raise UserError(f"{path}: {describe_mode(image)}, expected 8-bit grey or RGB; convert it to an 8-bit PNG")
        return np.array(_on_white(image).convert("RGB"))


def _on_white(image: Image.Image) -> Image.Image:
    """Lay transparent pixels on white paper."""
    if not image.has_transparency_data:
        return image
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image.convert("RGBA"))
    return paper


def image_size(path: Path | str) -> tuple[int, int]:
    """Return (height, width) as `read_image` would give them, from the file's header alone."""
    with _reporting(path), Image.open(path) as image:
        width, height = image.size
        quarter_turn = image.getexif().get(_ORIENTATION, 1) in _QUARTER_TURNS
    return (width, height) if quarter_turn else (height, width)


_ORIENTATION = 0x0112
_QUARTER_TURNS = {5, 6, 7, 8}


def write_image(path: Path | str, image: Array) -> None:
    """Write an (h, w, 3) or (h, w) uint8 array; the file name's ending chooses the format.

    Raises
    ------
    UserError
        When the ending is none of `IMAGE_SUFFIXES`, or the file cannot be written.
    """
    if image.dtype != np.uint8:
        raise ValueError(f"write_image: expected uint8, got {image.dtype}")
    kind = IMAGE_SUFFIXES.get(Path(path).suffix.lower())
    if kind is None:
        raise UserError(f"{path}: cannot tell an image format from this name; end it in .png")
    with atomic_write(path) as file:
        Image.fromarray(image).save(file, format=kind)


@contextmanager
def open_image(path: Path | str) -> Iterator[Image.Image]:
    """Open a file with one image, pixels read and turned upright, in the mode that the file has.

    Raises
    ------
    UserError
        When the file is missing, empty, damaged, no image, holds several, or has colours of 16 bits a channel.
    """
    with _reporting(path), Image.open(path) as image:
        sixteen = any(_SIXTEEN_BITS.search(str(tile)) for tile in getattr(image, "tile", ()))
        image.load()
        upright = ImageOps.exif_transpose(image)
        # Cameras put a preview beside the photo (MPO); stacks and animations really are several images.
        pages = getattr(image, "n_frames", 1) if image.format in {"TIFF", "GIF"} else 1
        kind = image.format
    if sixteen:
        raise UserError(f"{path}: a colour image of 16 bits a channel, expected 8 bits; convert it to an 8-bit PNG")
    if pages > 1:
        raise UserError(f"{path}: holds {pages} images, expected one; save each as a file of its own")
    upright.format = kind
    yield upright


@contextmanager
def _reporting(path: Path | str) -> Iterator[None]:
    """Turn the many ways in which opening an image fails into one line about the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the name") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: is a folder, expected an image file") from error
    except PermissionError as error:
        raise UserError(f"{path}: may not be read; change the file's permissions") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too large to open at once ({error}); cut it into parts first") from error
    except _BROKEN_FILE as error:
        size = Path(path).stat().st_size
        what = "is empty (0 bytes)" if size == 0 else f"damaged or no image ({size} bytes)"
        raise UserError(f"{path}: {what}; get or export the file again") from error


_SIXTEEN_BITS = re.compile(r"(RGB|LA)\w*;16[BLN]")
"""Colours that Pillow would cut down to their upper 8 bits, of which a 12-bit camera fills the lowest four."""

_MODE_WORDS = {
    "1": "a 1-bit image",
    "L": "an 8-bit grey image",
    "LA": "a grey image with transparency",
    "P": "a palette image",
    "PA": "a palette image with transparency",
    "RGB": "an RGB image",
    "RGBA": "an RGB image with transparency",
    "CMYK": "a CMYK image",
    "I": "a 16- or 32-bit grey image",
    "F": "a floating-point image",
}


def describe_mode(image: Image.Image) -> str:
    """Say in words what kind of pixels an image has."""
    if image.mode.startswith("I;16"):
        return "a 16-bit grey image"
    return _MODE_WORDS.get(image.mode, f"an image of mode {image.mode}")
