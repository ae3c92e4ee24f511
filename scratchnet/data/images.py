"""Reading and writing image files as (h, w, 3) uint8 arrays."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from scratchnet.arrays import Array
from scratchnet.data.image_files import inspect_image, open_image
from scratchnet.data.image_headers import ImageHeader, stored_samples
from scratchnet.data.tiff_files import read_tiff_samples
from scratchnet.data.unreadable_images import UnsupportedTiffError
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write
from scratchnet.utils.options import for_caller
from scratchnet.utils.shape_checks import check_image, check_mask
from scratchnet.utils.signatures import signature

IMAGE_SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
}
"""Suffixes of image files that can be written, with Pillow's names of the formats. Many more can be read, see
`scratchnet.data.image_formats.readable_suffixes`."""

_READABLE_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"}


ValueRange: TypeAlias = tuple[float, float]
"""Stored values of black and of white."""


def read_image(path: Path | str, value_range: ValueRange | None = None) -> Array:
    """Read an image file as RGB.

    Grey, 1-bit and palette images are converted to RGB, transparent pixels are composited on white, and the image is
    rotated by its EXIF orientation.

    Parameters
    ----------
    path : Path or str
        A file with one image.
    value_range : (float, float) or None
        Stored values of grey images with more than 8 bits that become 0 and 255; values outside are clipped. Without a
        range such images are an error. Images of 8 bits per channel are not scaled.

    Returns
    -------
    (h, w, 3) uint8

    Raises
    ------
    UserError
        When the file is missing, empty, damaged, not an image, or its brightness has no agreed meaning (CMYK; 16-bit,
        32-bit and floating point without a range).
    """
    try:
        with open_image(path) as (image, header):
            return to_rgb(path, image, header, value_range)
    except UnsupportedTiffError:
        if value_range is None:
            raise
    samples, white_is_zero = read_tiff_samples(path)
    if samples.ndim == 3 and samples.shape[2] != 3:
        raise UserError(f"{path}: a TIFF with {samples.shape[2]} channels, expected grey or RGB; convert it to RGB")
    return _scaled(path, samples, white_is_zero, value_range)


def to_rgb(path: Path | str, image: Image.Image, header: ImageHeader, value_range: ValueRange | None) -> Array:
    """Return the pixels (h, w, 3) uint8 of an open image or of a crop of one; see `read_image`."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _deep_to_rgb(path, image, header, value_range)
    if image.mode in _READABLE_MODES:
        return np.array(_composited_on_white(image).convert("RGB"))
    raise UserError(f"{path}: {describe_mode(image)}, expected 8-bit grey or RGB; convert it to an 8-bit PNG")


def _deep_to_rgb(path: Path | str, image: Image.Image, header: ImageHeader, value_range: ValueRange | None) -> Array:
    """Return an image of more than 8 bits per sample as (h, w, 3) uint8."""
    if value_range is None:
        option = for_caller("--range LOW HIGH", "value_range=(low, high)")
        raise UserError(
            f"{path}: {describe_mode(image)}, expected 8-bit grey or RGB; say with {option} which values are "
            "black and white, or convert it to an 8-bit PNG"
        )
    values = stored_samples(np.array(image), header)
    if header.rawmode == "I;32N":  # unsigned in the file, signed in Pillow
        values = values.view(np.uint32)
    return _scaled(path, values, header.white_is_zero, value_range)


def _scaled(path: Path | str, values: Array, white_is_zero: bool, value_range: ValueRange) -> Array:
    """Scale samples (h, w) or (h, w, 3) to 0…255; return (h, w, 3) uint8."""
    low, high = value_range
    scaled = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), 256):  # a few rows at a time: float64 takes eight times the memory of the result
        rows = (values[top : top + 256] - np.float64(low)) * 255 / (high - low)
        if not np.isfinite(rows).all():
            raise UserError(f"{path}: holds values that are not finite numbers; replace them, then export it again")
        scaled[top : top + 256] = np.rint(np.clip(rows, 0, 255))
    if white_is_zero:
        scaled = 255 - scaled
    return scaled if scaled.ndim == 3 else np.repeat(scaled[:, :, None], 3, axis=2)


def _composited_on_white(image: Image.Image) -> Image.Image:
    """Composite transparent pixels on white."""
    if image.mode in {"La", "RGBa"}:  # premultiplied colours
        image = image.convert(image.mode.upper())
    if not image.has_transparency_data:
        return image
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white


def image_size(path: Path | str) -> tuple[int, int]:
    """Return the (height, width) that `read_image` would return, from the file's header alone."""
    return inspect_image(path).size


def write_image(path: Path | str, image: Array, kind: str | None = None) -> None:
    """Write an (h, w, 3) or (h, w) uint8 array in the format of the file's suffix.

    With ``kind``, see :func:`scratchnet.utils.files.atomic_write`, an existing file of another kind is not replaced.

    Raises
    ------
    UserError
        When the suffix is not one of `IMAGE_SUFFIXES`, or the file cannot be written.
    """
    if image.ndim == 2:
        check_mask("write_image", image, "a grey image")
    else:
        check_image("write_image", image)
    if image.dtype != np.uint8:
        raise ValueError(f"write_image: expected uint8, got {image.dtype}")
    form = IMAGE_SUFFIXES.get(Path(path).suffix.lower())
    if form is None:
        raise UserError(f"{path}: cannot tell an image format from this name; end it in .png")
    with atomic_write(path, kind) as file:
        Image.fromarray(image).save(file, format=form, pnginfo=png_text(kind))


def png_text(kind: str | None, more: Mapping[str, str] | None = None) -> PngInfo | None:
    """Return the text chunks of a PNG that state the kind of file, and ``more`` by keyword; None without any."""
    if kind is None and not more:
        return None
    text = PngInfo()
    stated = {} if kind is None else {"Description": signature(kind)}
    for keyword, value in {**stated, **(more or {})}.items():
        text.add_text(keyword, value)
    return text


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
    """Return the pixel format of an image in words."""
    if image.mode.startswith("I;16"):
        return "a 16-bit grey image"
    return _MODE_WORDS.get(image.mode, f"an image of mode {image.mode}")
