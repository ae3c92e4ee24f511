"""How many pixels an image file may promise, checked before a decoder takes memory for them."""

from pathlib import Path

from scratchnet.utils.errors import UserError

MAX_SIDE = 1 << 20
"""Longest side of an image that is opened."""

MAX_UNCHECKED_PIXELS = 1 << 26
"""Pixels that a file of any size may promise; a blank image can be compressed to almost nothing."""

MAX_PIXELS_PER_BYTE = 10_000
"""Pixels that a byte of the file may stand for in a larger image: PNG's compression reaches 8,000 with one bit each."""


def check_promised_pixels(path: Path | str, height: int, width: int) -> None:
    """Refuse an image file that is too small for the number of pixels in its header.

    Raises
    ------
    UserError
        When a side is longer than :data:`MAX_SIDE`, or the file has too few bytes.
    """
    size = Path(path).stat().st_size
    most = max(MAX_UNCHECKED_PIXELS, MAX_PIXELS_PER_BYTE * size)
    if max(height, width) > MAX_SIDE or height * width > most:
        raise UserError(
            f"{path}: {height}×{width} pixels (height × width) in a file of {size} bytes; damaged, get or export the "
            "file again"
        )
