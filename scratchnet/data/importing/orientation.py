"""Labels of photographs with an EXIF orientation, which a tool shows upright or as they are stored.

The stated size tells which, if the orientation swaps height and width. Labels on the stored pixels are drawn there and
turned with them.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array

_UPRIGHT: Mapping[int, Callable[[Array], Array]] = {
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: np.rot90,
}
"""Function from stored to upright pixels (h, w) for every EXIF orientation except 1, which changes nothing."""


class LabelledSide(NamedTuple):
    """Height and width of the pixels that were labelled, and the orientation that makes them upright, 1 for none.

    ``certain`` is False if the image has an orientation and the export does not tell on which pixels it was labelled.
    """

    size: tuple[int, int]
    orientation: int = 1
    certain: bool = True


def labelled_side(upright: tuple[int, int], orientation: int, stated: tuple[int, int] | None) -> LabelledSide:
    """Return on which pixels an image was labelled: upright, unless the stated size is that of the stored pixels.

    Parameters
    ----------
    upright : (int, int)
        Height and width of the upright image.
    orientation : int
        EXIF orientation, 1 to 8.
    stated : (int, int) or None
        Height and width in the export.
    """
    stored = upright[::-1] if orientation >= 5 else upright
    if stored != upright and stated == stored:
        return LabelledSide(stored, orientation)
    return LabelledSide(upright, certain=orientation == 1 or (stored != upright and stated is not None))


def turn_upright(pixels: Array, orientation: int) -> Array:
    """Return stored pixels (h, w) as they are seen upright."""
    return pixels if orientation == 1 else np.ascontiguousarray(_UPRIGHT[orientation](pixels))
