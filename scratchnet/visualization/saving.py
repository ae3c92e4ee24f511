"""Saving of figures and animations; each saved path is printed."""

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
"""Relative to the current directory or, if that is not writable, to the system's directory for temporary files."""

KIND = "lesson's picture"

saved_figures: list[Path] = []
"""Pictures saved by this process, oldest first; the documentation shows each below the lesson's cell that saved it."""


def save_figure(picture: Figure | Sequence[Image.Image], name: str, seconds: float = 0.7) -> Path:
    """Save a figure as ``lesson-figures/NAME.png``, or frames as ``lesson-figures/NAME.gif``, and print the path.

    Parameters
    ----------
    picture : Figure or sequence of PIL images
        Images become an animation that loops forever.
    name : str
        File name without extension, such as ``07-max-pool-switches``.
    seconds : float
        Duration of each frame of an animation; the last frame is shown three times as long.
    """
    path = FOLDER / f"{name}.{'png' if isinstance(picture, Figure) else 'gif'}"
    try:
        check_writable(path, KIND)
    except UserError:  # for example, a course in a read-only folder
        path = Path(tempfile.gettempdir()) / path
    with atomic_write(path, KIND) as file:
        if isinstance(picture, Figure):
            picture.savefig(file, format="png", dpi=120, metadata={"Description": signature(KIND)})
        else:
            save_animation(file, picture, seconds, KIND)
    saved_figures.append(path)
    print(f"figure: {path}")
    return path


def save_animation(
    file: BinaryIO, frames: Sequence[Image.Image], seconds: float = 0.7, kind: str = "animation"
) -> None:
    """Write frames as a GIF that loops forever; each is shown for ``seconds``, the last three times as long."""
    first, *others = frames
    durations = [round(1000 * seconds)] * len(others) + [round(3000 * seconds)]  # milliseconds
    comment = signature(kind).encode()
    first.save(file, format="GIF", save_all=True, append_images=others, duration=durations, loop=0, comment=comment)
