"""Maps of scores or probabilities in another size."""

import numpy as np
from PIL import Image

from scratchnet.arrays import Array, to_host


def resize_map(values: Array, size: tuple[int, int]) -> Array:
    """Return one map (h, w) float32 in the size (height, width); bilinear, averaging where it shrinks."""
    if values.shape == size:
        return values
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.array(picture.resize(size[::-1], Image.Resampling.BILINEAR))


def resize_maps(maps: Array, size: tuple[int, int]) -> Array:
    """Return maps (n, h, w, c) as ``(n, *size, c)`` float32, see `resize_map`; what sums to 1 over c still does.

    Maps of another size come back to the host.
    """
    if maps.shape[1:3] == size:
        return maps
    maps = to_host(maps)
    n, *_, c = maps.shape
    resized = np.empty((n, *size, c), np.float32)
    for i, k in np.ndindex(n, c):
        resized[i, ..., k] = resize_map(maps[i, ..., k], size)
    return resized
