"""Reading the text files of a set: lists, tables, class names."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from scratchnet.utils.errors import UserError
from scratchnet.utils.input_files import check_regular_file


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a text file with their numbers, blank ones left out."""
    lines = enumerate(read_text(path).splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def read_text(path: Path) -> str:
    """Return a text file's content.

    UTF-8 with or without a byte order mark, and UTF-16 with one, as Windows writes it.

    Raises
    ------
    UserError
        When it is no regular file, cannot be read, or is no such text.
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
    """Return the columns' names of a CSV file, and its rows with the lines on which they end; errors as `read_text`."""
    reader = csv.DictReader(io.StringIO(read_text(path)), skipinitialspace=True)
    try:
        columns = [*(reader.fieldnames or ())]
        return columns, [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num + 1}: no readable CSV ({error}); correct the line") from error


def read_json(path: Path, expected: str) -> Any:
    """Return what a JSON file holds; errors as `read_text`, or when it is no JSON; ``expected`` says what to write."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        words = " ".join(str(error).split())[:100]
        raise UserError(f"{path}: not valid JSON ({words}); expected {expected}") from error
