"""Reading the text files of a set: lists, tables, class names."""

from pathlib import Path

from scratchnet.errors import UserError
from scratchnet.files import check_regular_file


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
