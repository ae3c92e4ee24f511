"""Sizes in the forms 256, 256 128 and 256x128, height before width."""

import re
from typing import Annotated, TypeAlias

Size: TypeAlias = Annotated[tuple[int, int], "size"]
"""(height, width) in pixels; one number, ``256 128`` and ``256x128`` are accepted."""

Side: TypeAlias = Annotated[int, "side"]
"""Height and width of a square; accepted in the same forms as a size."""


_DIGITS = re.compile(r"[+-]?[0-9]{1,100}")


def read_number(kind: type[int] | type[float], text: str) -> int | float:
    """Return a number; unlike Python, accept neither ``1_000`` nor digits of other scripts.

    Raises
    ------
    ValueError
        When the text is not such a number.
    """
    if not text.isascii() or "_" in text or (kind is int and not _DIGITS.fullmatch(text)):
        raise ValueError(text)
    return kind(text)


def read_pair(text: str, kind: type[int] | type[float]) -> tuple[int | float, int | float]:
    """Return the two numbers of "256x128" (or with ×); a single number is used for both.

    Raises
    ------
    ValueError
        When the text is neither one number nor two.
    """
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) > 2:
        raise ValueError(text)
    first, second = (read_number(kind, part) for part in (parts * 2)[:2])
    return first, second
