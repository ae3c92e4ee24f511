"""Sums over all pixels of a map, one per channel: the gradient of a bias, and the sums in batch norm's gradients."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.dispatch import operation

PIXELS = (0, 1, 2)
"""The axes of a map (n, h, w, c) that enumerate its pixels: images, rows and columns."""


@operation(x="n h w c")
def channel_sums(x: Array) -> Array:
    """Sum (n, h, w, c) over everything but the channels: (c,), in the dtype of ``x``.

    The sum is formed in float64: adding up a million float32 values one by one would lose four digits.
    """
    total: Array = x.sum(axis=PIXELS, dtype=np.float64).astype(x.dtype)
    return total
