"""Reading the text files of a data set: lists, tables, class names."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from scratchnet.utils.errors import UserError
from scratchnet.utils.input_files import check_regular_file


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """Return the non-blank lines of a text file with their line numbers."""
    lines = enumerate(read_text(path).splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def read_text(path: Path) -> str:
    """Return the contents of a text file.

    The encoding is UTF-8 with or without a byte order mark, or UTF-16 with one, as written by Windows.

    Raises
    ------
    UserError
        When the path is not a regular file, cannot be read, or the contents are not text in these encodings.
    """
    check_regular_file(path, "a text file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); change the file's permissions") from error
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text; save it again as UTF-8") from error
    if "\0" in text:
        raise UserError(f"{path}: is not text (it holds zero bytes); save it as UTF-8")
    return text


def read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the column names of a CSV file, and its rows with the number of the last line; errors as `read_text`."""
    reader = csv.DictReader(io.StringIO(read_text(path)), skipinitialspace=True)
    try:
        columns = [*(reader.fieldnames or ())]
        return columns, [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num + 1}: not valid CSV ({error}); correct the line") from error


def read_json(path: Path, expected: str) -> Any:
    """Return the contents of a JSON file; errors as `read_text`, or if it is not JSON, naming what is ``expected``."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        words = " ".join(str(error).split())[:100]
        raise UserError(f"{path}: not valid JSON ({words}); expected {expected}") from error
