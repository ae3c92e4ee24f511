"""Image formats that can be read.

Pillow reads some fifty formats, and some of its decoders start other programs (EPS starts Ghostscript) or need further
libraries. Only the `FORMATS` are opened.
"""

from functools import cache

from PIL import Image

FORMATS = (
    *("PNG", "JPEG", "MPO", "TIFF", "BMP", "DIB", "GIF", "WEBP", "AVIF", "JPEG2000", "PPM", "PCX", "SGI", "SUN", "QOI"),
    *("ICO", "DDS", "HEIF"),
)
"""Pillow's names of the formats that are opened if the installed Pillow supports them. None of them runs a program,
needs a further library, or holds vector graphics, a film or a table."""

TGA_SUFFIXES = (".tga", ".icb", ".vda", ".vst")
"""TGA has no magic number, so its decoder is tried only on files with these suffixes."""


@cache
def readable_formats() -> tuple[str, ...]:
    """Return the `FORMATS` that the installed Pillow can open."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of readable image files in lower case, such as ``.png`` and ``.webp``."""
    formats = {*readable_formats(), "TGA"}
    found = {suffix.lower() for suffix, name in Image.registered_extensions().items() if name in formats}
    return frozenset(found - {".apng", ".avifs", ".pfm"})
