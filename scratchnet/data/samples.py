"""Small image sets in the repository, for lessons and first experiments."""

from pathlib import Path

import scratchnet
from scratchnet.utils.errors import UserError

GENERATE_COMMANDS = {
    "smears": "scratchnet data make cells data/smears --count 16 --size 96 --seed 1",
    "squares": "scratchnet data make squares data/squares --count 8 --size 128 --seed 1",
}
"""Commands that generate the same sets, pixel for pixel."""


def sample_folder(name: str) -> Path:
    """Return the folder of a sample set: ``data/NAME`` next to the package, or in or above the current folder.

    Parameters
    ----------
    name : str
        ``"smears"``: 16 generated blood smears of 96×96 pixels. ``"squares"``: squares on a plain background.

    Raises
    ------
    UserError
        When the folder does not exist, as in an installation without the repository.
    """
    here = Path.cwd()
    for folder in (Path(scratchnet.__file__).parents[1], here, *here.parents):
        if (folder / "data" / name / "images").is_dir():
            return folder / "data" / name
    command = f", or generate it here: {GENERATE_COMMANDS[name]}" if name in GENERATE_COMMANDS else ""
    raise UserError(f"no folder data/{name} in {here} or above; it comes with a clone of the repository{command}")
