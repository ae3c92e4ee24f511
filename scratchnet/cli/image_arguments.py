"""Image files named on the command line, alone or by their folders."""

from collections.abc import Sequence
from pathlib import Path

from scratchnet.cli.parsing import say
from scratchnet.data.image_folders import SEARCHED_SUFFIXES, describe_unreadable, is_image_file, unreadable_files
from scratchnet.utils.errors import UserError
from scratchnet.utils.signatures import has_signature


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
