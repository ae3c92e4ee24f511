"""Names of the classes in a mask file: a text chunk of the PNG with the keyword *Classes* and a JSON list of names."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from scratchnet.data.image_files import open_image
from scratchnet.utils.errors import UserError

CLASSES = "Classes"
"""Keyword of the text chunk."""


def classes_text(names: Sequence[str]) -> str:
    """Return the text of the chunk, in ASCII."""
    return json.dumps(list(names))


def stated_classes(paths: Iterable[Path]) -> tuple[str, ...] | None:
    """Return the names of the classes that all of these mask files state; None if they state none or several."""
    found = {_stated(path) for path in paths}
    return found.pop() if len(found) == 1 else None


def _stated(path: Path) -> tuple[str, ...] | None:
    """Return the names that a file states, or None."""
    names = None
    with suppress(UserError, ValueError), open_image(path) as (image, _):
        names = json.loads(image.info.get(CLASSES, ""))
    valid = isinstance(names, list) and 2 <= len(names) <= 256 and all(isinstance(n, str) and n for n in names)
    return tuple(names) if valid and names else None
