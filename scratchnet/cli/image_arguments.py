"""Image files named on the command line, alone or by their folders."""

from collections.abc import Callable, Sequence
from pathlib import Path

from scratchnet.cli.parsing import say
from scratchnet.data.image_folders import SEARCHED_SUFFIXES, describe_unreadable, is_image_file, unreadable_files
from scratchnet.utils.errors import UserError
from scratchnet.utils.signatures import has_signature

NAMED = 3
"""Number of bad images that an error names after the first."""


def find_images(words: Sequence[str], noun: str = "image", skipped: Sequence[str] = ()) -> list[Path]:
    """Return the paths of the named images and of the images in the named folders.

    Parameters
    ----------
    words : sequence of str
        Files and folders; the images in a folder are sorted by name.
    noun : str
        Description of the files for messages.
    skipped : sequence of str
        Kinds of files, see `scratchnet.utils.signatures`, that are left out of folders: pictures that a command wrote.

    Raises
    ------
    UserError
        If there are no words, or a folder holds no images.
    """
    if not words:
        raise UserError(f"no {noun} given; name {noun} files or folders of {noun}s")
    paths: list[Path] = []
    for word in words:
        path = Path(word)
        if not path.is_dir():
            paths.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if is_image_file(p))
        wanted = [p for p in inside if not any(has_signature(p, kind) for kind in skipped)]
        rest = unreadable_files(path)
        if not wanted:
            held = f"; it holds {describe_unreadable(rest)}" if rest else ""
            raise UserError(f"{path}: no {noun}s in this folder (looked for {SEARCHED_SUFFIXES}){held}")
        if rest:
            say(f"{path}: leaving out {describe_unreadable(rest)}")
        if len(wanted) < len(inside):
            say(f"{path}: leaving out {len(inside) - len(wanted)} pictures that scratchnet drew")
        paths += wanted
    return paths


def check_each(paths: Sequence[Path], check: Callable[[Path], None]) -> None:
    """Check every image with a function that raises a UserError for a bad one.

    Raises
    ------
    UserError
        That of the first bad image, with the number and some names of the others.
    """
    problems: list[tuple[Path, UserError]] = []
    for path in paths:
        try:
            check(path)
        except UserError as error:
            text = str(error)
            problems.append((path, error if str(path) in text else UserError(f"{path}: {text}")))
    if not problems:
        return
    others = [path.name for path, _ in problems[1:]]
    named = ", ".join(others[:NAMED]) + (", …" if len(others) > NAMED else "")
    more = f"; {len(others)} more of the {len(paths)} images cannot be used: {named}" if others else ""
    raise UserError(f"{problems[0][1]}{more}") from problems[0][1]
