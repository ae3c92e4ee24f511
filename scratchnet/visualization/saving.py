"""Where the pictures of a lesson go: files in one folder, and a line on the terminal that says which."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from matplotlib.figure import Figure
from PIL import Image

from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable
from scratchnet.utils.signatures import signature

FOLDER = Path("lesson-figures")
"""In the folder that a lesson is started in, or, where nothing can be written, in the system's for temporary files."""

KIND = "lesson's picture"

kept: list[Path] = []
"""Pictures kept so far by this process, oldest first; the gallery shows each below the cell that made it."""


def keep(picture: Figure | Sequence[Image.Image], name: str, seconds: float = 0.7) -> Path:
    """Save a figure as ``lesson-figures/NAME.png``, or frames as ``lesson-figures/NAME.gif``, and print the path.

    Parameters
    ----------
    picture : Figure or sequence of PIL images
        Images become an animation that loops forever.
    name : str
        File name without extension, such as ``07-max-pool-switches``.
    seconds : float
        How long each frame of an animation stays; the last stays three times as long.
    """
    path = FOLDER / f"{name}.{'png' if isinstance(picture, Figure) else 'gif'}"
    try:
        check_writable(path, KIND)
    except UserError:  # a course in a folder that is not the reader's
        path = Path(tempfile.gettempdir()) / path
    with atomic_write(path, KIND) as file:
        if isinstance(picture, Figure):
            picture.savefig(file, format="png", dpi=120, metadata={"Description": signature(KIND)})
        else:
            save_animation(file, picture, seconds, KIND)
    kept.append(path)
    print(f"figure: {path}")
    return path


def save_animation(
    file: BinaryIO, frames: Sequence[Image.Image], seconds: float = 0.7, kind: str = "animation"
) -> None:
    """Write frames as a GIF that loops forever; each stays for ``seconds``, the last three times as long."""
    first, *others = frames
    long = [round(1000 * seconds)] * len(others) + [round(3000 * seconds)]
    note = signature(kind).encode()
    first.save(file, format="GIF", save_all=True, append_images=others, duration=long, loop=0, comment=note)
