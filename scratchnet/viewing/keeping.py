"""Where the pictures of a lesson go: files in one folder, and a line on the terminal that says which."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from matplotlib.figure import Figure
from PIL import Image

FOLDER = Path("lesson-figures")
"""In the folder that a lesson is started in."""

kept: list[Path] = []
"""Pictures kept so far by this process, oldest first; the gallery shows each below the cell that made it."""


def keep(picture: Figure | Sequence[Image.Image], name: str, seconds: float = 0.7) -> Path:
    """Save a figure as ``lesson-figures/NAME.png``, or frames as ``lesson-figures/NAME.gif``, and print the path.

    Parameters
    ----------
    picture : Figure or sequence of PIL images
        Images become an animation that repeats for ever.
    name : str
        File name without extension, such as ``07-max-pool-switches``.
    seconds : float
        How long each frame of an animation stays; the last stays three times as long.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    if isinstance(picture, Figure):
        path = FOLDER / f"{name}.png"
        picture.savefig(path, dpi=120)
    else:
        path = FOLDER / f"{name}.gif"
        with path.open("wb") as file:
            save_animation(file, picture, seconds)
    kept.append(path)
    print(f"figure: {path}")
    return path


def save_animation(file: BinaryIO, frames: Sequence[Image.Image], seconds: float = 0.7) -> None:
    """Write frames as a GIF that repeats for ever; each stays for ``seconds``, the last three times as long."""
    first, *others = frames
    long = [round(1000 * seconds)] * len(others) + [round(3000 * seconds)]
    first.save(file, format="GIF", save_all=True, append_images=others, duration=long, loop=0)
