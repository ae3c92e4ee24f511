"""Signed maps in two colours: orange where a value is positive, purple where it is negative.

The map is drawn over a pale grey copy of the photograph, so that positions can be compared. Orange and purple can be
distinguished by colour-blind readers, and purple is darker.
"""

import numpy as np

from scratchnet.arrays import Array

POSITIVE, NEGATIVE = (230, 97, 1), (94, 60, 153)
"""Colours of values at or beyond the limit."""

FADE = 0.3
"""How strongly the photograph shows through, where 0 is white."""

CLIPPED = 0.5
"""Percentage of the pixels whose values may exceed the limit; a few extreme ones would otherwise hide all others."""


def limit_of(values: Array) -> float:
    """Return the limit of the colour scale of a map: a percentile of the magnitudes, or the largest if that is 0."""
    magnitudes = np.abs(values)
    return float(np.percentile(magnitudes, 100 - CLIPPED)) or float(magnitudes.max(initial=0))


def signed_picture(values: Array, photo: Array, limit: float | None = None) -> Array:
    """Return a map as a picture (h, w, 3) uint8.

    Parameters
    ----------
    values : (h, w)
    photo : (h, w, 3) uint8
    limit : float or None
        The magnitude that gets the full colour; None: that of :func:`limit_of`.
    """
    limit = limit_of(values) if limit is None else limit
    grey = photo.mean(axis=2, keepdims=True, dtype=np.float64)
    ground = 255 - FADE * (255 - grey)
    share = np.clip(values / limit, -1, 1)[:, :, None] if limit > 0 else np.zeros((*values.shape, 1))
    colour = np.where(share > 0, np.array(POSITIVE, float), np.array(NEGATIVE, float))
    mixed = ground + np.abs(share) * (colour - ground)
    picture: Array = np.rint(mixed).astype(np.uint8)
    return picture
