"""Reading ``classes.txt``: names of the classes and, optionally, their colours."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from scratchnet.data.file_names import find_entry
from scratchnet.data.text_files import numbered_lines, read_json, read_text
from scratchnet.utils.errors import UserError

Colour: TypeAlias = tuple[int, int, int]

CLASS_FILES = ("classes.txt", "labelmap.txt")
"""Names of the class file at the root of a data set; the second is CVAT's."""


class ClassList(NamedTuple):
    """Contents of a class file.

    Attributes
    ----------
    names : tuple of str
    colours : tuple of (int, int, int) or None
        Red, green and blue of every class, if the file has them for all classes.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...] | None = None


def find_class_file(root: Path) -> Path | None:
    """Return the class file of a data set, or None if there is none."""
    for name in CLASS_FILES:
        path = find_entry(root, name)
        if path.exists() or path.is_symlink():
            return path
    return None


def read_class_list(path: Path) -> ClassList:
    """Read the names of the classes, class 0 first.

    Supported forms: one name per line; CVAT's ``labelmap.txt`` (``name:r,g,b:parts:actions``); a name and three numbers
    from 0 to 255, separated by spaces, tabs, commas or semicolons, in either order; any of these with the class index
    before every name; a JSON list of names or of objects with ``name`` and optionally ``color``. Lines that begin with
    ``#`` and a header line are skipped.

    Raises
    ------
    UserError
        When the file cannot be read or its lines differ in form.
    """
    if read_text(path).lstrip()[:1] in ("[", "{"):
        return _from_json(path)
    lines = [line for _, line in numbered_lines(path) if not line.startswith("#")]
    if len(lines) > 1 and _HEADER.fullmatch(lines[0]):
        lines = lines[1:]
    rows = [_split(line) for line in _without_indices(lines)]
    names = tuple(name for name, _ in rows)
    colours = [colour for _, colour in rows if colour is not None]
    if colours and len(colours) < len(rows):
        plain = next(name for name, colour in rows if colour is None)
        raise UserError(f"{path}: gives colours for some classes but none for {plain!r}; give all of them or none")
    return ClassList(names, tuple(colours) or None)


_HEADER = re.compile(
    r"((id|index|no|nr|#)\W+)?(class|label|category)?[_ ]?(name|names|label|labels|class|classes|category|categories)"
    r"(\W+(r|red|colou?r(_rgb)?)\b.*)?:?",
    re.IGNORECASE,
)
"""A header line: ``name``, ``class,r,g,b``, ``id;label``."""

_THREE = r"(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})"
_CVAT = re.compile(rf"(?P<name>[^:]+):(?:{_THREE})?(?::[^:]*){{0,2}}")
_AFTER = re.compile(rf"(?P<name>.*?\S)[\s,;:]+{_THREE}[\s,;:]*")
_BEFORE = re.compile(rf"{_THREE}[\s,;:]+(?P<name>\S.*)")


def _split(line: str) -> tuple[str, Colour | None]:
    """Return the name and the colour of a line."""
    for form in (_CVAT, _AFTER, _BEFORE):
        if found := form.fullmatch(line):
            places = {1, 2, 3, 4} - {found.re.groupindex["name"]}
            numbers = [int(found[place]) for place in sorted(places) if found[place] is not None]
            if all(number <= 255 for number in numbers) and (numbers or "::" in line):
                red, green, blue = numbers or (0, 0, 0)
                return found["name"].strip(), (red, green, blue) if numbers else None
    return line, None


def _without_indices(lines: Sequence[str]) -> Sequence[str]:
    """Remove ``0``, ``1:``, ``2,`` … if every line begins with its own index."""
    found = [re.fullmatch(r"(\d+)[\s:,;.)=]+(.*\S)", line) for line in lines]
    rests = [match[2] for index, match in enumerate(found) if match and int(match[1]) == index]
    named = all(re.search(r"[^\W\d]", rest) for rest in rests)
    return rests if rests and named and len(rests) == len(lines) else lines


def _from_json(path: Path) -> ClassList:
    """Read a JSON list, or an object whose keys are the class indices."""
    wrong = UserError(f"{path}: expected a JSON list of names, or of objects with the keys name and color")
    values: Any = read_json(path, "class names")
    if isinstance(values, dict):
        if [*values] != [str(index) for index in range(len(values))]:
            raise wrong
        values = [*values.values()]
    if all(isinstance(value, str) for value in values):
        return ClassList(tuple(value.strip() for value in values))
    if not all(isinstance(value, dict) and isinstance(value.get("name"), str) for value in values):
        raise wrong
    colours = [_colour(value.get("color", value.get("colour"))) for value in values]
    known = tuple(colour for colour in colours if colour is not None)
    return ClassList(tuple(value["name"].strip() for value in values), known if len(known) == len(values) else None)


def _colour(value: object) -> Colour | None:
    """Return a colour given as ``[r, g, b]`` or ``"#rrggbb"``; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        red, green, blue = bytes.fromhex(value[1:])
        return red, green, blue
    if isinstance(value, list) and len(value) == 3 and all(type(v) is int and 0 <= v <= 255 for v in value):
        return value[0], value[1], value[2]
    return None
