"""Sizes as people write them: 256, 256 128 or 256x128, always height before width."""

from typing import Annotated, TypeAlias

Size: TypeAlias = Annotated[tuple[int, int], "size"]
"""(height, width) in pixels; one number, ``256 128`` and ``256x128`` are accepted."""

Side: TypeAlias = Annotated[int, "side"]
"""Height and width of a square; accepted in the same forms as a size."""


def read_pair(text: str, kind: type[int] | type[float]) -> tuple[int | float, int | float]:
    """Return the two numbers of "256x128" (also with ×); one number stands for both.

    Raises
    ------
    ValueError
        When it is neither one number nor two.
    """
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) > 2:
        raise ValueError(text)
    first, second = (kind(part) for part in (parts * 2)[:2])
    return first, second
