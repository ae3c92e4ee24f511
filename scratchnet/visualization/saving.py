"""Saving of figures and animations; each saved path is printed, and a notebook also shows the picture."""

import base64
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class SavedFigure:
    """A saved picture: its file, and the text that stands for it where it cannot be seen."""

    path: Path
    alt: str


saved_figures: list[SavedFigure] = []
"""Pictures saved by this process, oldest first; the documentation shows each below the lesson's cell that saved it."""


def save_figure(picture: Figure | Sequence[Image.Image], name: str, alt: str = "", seconds: float = 0.7) -> None:
    """Save a figure as ``lesson-figures/NAME.png``, or frames as ``lesson-figures/NAME.gif``, and print the path.

    In a notebook, the picture appears below the cell as well.

    Parameters
    ----------
    picture : Figure or sequence of PIL images
        Images become an animation that loops forever.
    name : str
        File name without extension, such as ``07-max-pool-switches``.
    alt : str
        Alternative text: one or two sentences that say what is seen, for readers who cannot see the picture.
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
    saved_figures.append(SavedFigure(path, alt))
    print(f"figure: {path}")
    _show_in_notebook(saved_figures[-1])


def _show_in_notebook(saved: SavedFigure) -> None:
    """Display a picture below the cell that runs, if the process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if not hasattr(shell, "kernel"):  # no IPython, or IPython in a terminal
        return
    from IPython.display import display

    kind = f"image/{saved.path.suffix[1:]}"
    data = base64.b64encode(saved.path.read_bytes()).decode("ascii")
    display({kind: data, "text/plain": saved.alt}, raw=True, metadata={kind: {"alt": saved.alt}})


def save_animation(
    file: BinaryIO, frames: Sequence[Image.Image], seconds: float = 0.7, kind: str = "animation"
) -> None:
    """Write frames as a GIF that loops forever; each is shown for ``seconds``, the last three times as long."""
    first, *others = frames
    durations = [round(1000 * seconds)] * len(others) + [round(3000 * seconds)]  # milliseconds
    comment = signature(kind).encode()
    first.save(file, format="GIF", save_all=True, append_images=others, duration=durations, loop=0, comment=comment)
