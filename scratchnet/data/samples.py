"""The small image sets that come with the repository, for lessons and first tries."""

from pathlib import Path

import scratchnet
from scratchnet.errors import UserError


def sample_folder(name: str) -> Path:
    """Return the folder of a sample set: ``data/NAME`` beside the package, here, or in a folder above.

    Parameters
    ----------
    name : str
        ``"smears"``: 16 drawn blood smears of 96×96 pixels. ``"squares"``: squares on a ground.

    Raises
    ------
    UserError
        When there is none, as in an installation without the repository.
    """
    here = Path.cwd()
    for folder in (Path(scratchnet.__file__).parents[1], here, *here.parents):
        if (folder / "data" / name / "images").is_dir():
            return folder / "data" / name
    raise UserError(f"no folder data/{name} beside scratchnet or above {here}; start from a clone of the repository")
