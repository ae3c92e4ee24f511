"""The small image sets that come with the repository, for lessons and first tries."""

from pathlib import Path

import scratchnet
from scratchnet.utils.errors import UserError

GENERATE_COMMANDS = {
    "smears": "scratchnet data make cells data/smears --count 16 --size 96 --seed 1",
    "squares": "scratchnet data make squares data/squares --count 8 --size 128 --seed 1",
}
"""The commands that draw the sets anew, pixel for pixel."""


def sample_folder(name: str) -> Path:
    """Return the folder of a sample set: ``data/NAME`` beside the package, here, or in a folder above.

    Parameters
    ----------
    name : str
        ``"smears"``: 16 drawn blood smears of 96×96 pixels. ``"squares"``: squares on a ground.

    Raises
    ------
    UserError
        When there is none, as in an installation without the repository; the message says how to get it.
    """
    here = Path.cwd()
    for folder in (Path(scratchnet.__file__).parents[1], here, *here.parents):
        if (folder / "data" / name / "images").is_dir():
            return folder / "data" / name
    command = f", or draw it here: {GENERATE_COMMANDS[name]}" if name in GENERATE_COMMANDS else ""
    raise UserError(f"no folder data/{name} in {here} or above; it comes with a clone of the repository{command}")
