"""Resizing of maps of scores or probabilities."""

import numpy as np
from PIL import Image

from scratchnet.arrays import Array, to_host


def resize_map(values: Array, size: tuple[int, int]) -> Array:
    """Resize one map (h, w) to (height, width) float32, bilinearly and with averaging if it shrinks."""
    if values.shape == size:
        return values
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.array(picture.resize(size[::-1], Image.Resampling.BILINEAR))


def resize_maps(maps: Array, size: tuple[int, int]) -> Array:
    """Resize maps (n, h, w, c) to ``(n, *size, c)`` float32; see `resize_map`. Sums over c of 1 are preserved.

    Maps of another size are returned on the host.
    """
    if maps.shape[1:3] == size:
        return maps
    maps = to_host(maps)
    n, *_, c = maps.shape
    resized = np.empty((n, *size, c), np.float32)
    for i, k in np.ndindex(n, c):
        resized[i, ..., k] = resize_map(maps[i, ..., k], size)
    return resized
