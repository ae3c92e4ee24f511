"""JSON files of bounded size."""

from pathlib import Path
from typing import Any

from scratchnet.data.text_files import read_json
from scratchnet.utils.errors import UserError
from scratchnet.utils.input_files import check_regular_file

MAX_JSON_BYTES = 1 << 30
"""Maximum size of a JSON file; its content takes several times as much memory."""


def read_bounded_json(path: Path, expected: str) -> Any:
    """Return the content of a JSON file of at most `MAX_JSON_BYTES`; other errors as `read_json`."""
    check_regular_file(path, "a JSON file")
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise UserError(f"{path}: {size} bytes, expected at most {MAX_JSON_BYTES}; export it in several parts")
    return read_json(path, expected)


def read_object(path: Path, expected: str) -> dict[str, Any]:
    """Return the object in a JSON file; a UserError if it holds something else."""
    content = read_bounded_json(path, expected)
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no JSON object; expected {expected}")
    return content
