"""Limits on the number of pixels in an image file's header, checked before a decoder allocates memory."""

from pathlib import Path

from scratchnet.utils.errors import UserError

MAX_SIDE = 1 << 20
"""Maximum side of an image."""

MAX_UNCHECKED_PIXELS = 1 << 26
"""Number of pixels that is accepted for any file size, since a blank image can be compressed to almost nothing."""

MAX_PIXELS_PER_BYTE = 10_000
"""Maximum number of pixels per byte of the file in larger images; PNG reaches 8,000 with one-bit pixels."""


def check_promised_pixels(path: Path | str, height: int, width: int) -> None:
    """Check that an image file is large enough for the number of pixels in its header.

    Raises
    ------
    UserError
        When a side is longer than :data:`MAX_SIDE`, or the file has too few bytes.
    """
    size = Path(path).stat().st_size
    limit = max(MAX_UNCHECKED_PIXELS, MAX_PIXELS_PER_BYTE * size)
    if max(height, width) > MAX_SIDE or height * width > limit:
        raise UserError(
            f"{path}: {height}×{width} pixels (height × width) in a file of {size} bytes; damaged, get or export the "
            "file again"
        )
