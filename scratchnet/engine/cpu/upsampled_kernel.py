"""The kernel of an upsampling and a convolution, in memory from the pool, so that a replay can repeat the calls."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.memory.pool import pooled_empty


def upsampled_kernel(weight: Array) -> Array:
    """Return K (kh + 1, kw + 1, a, b)."""
    kh, kw, *channels = weight.shape
    rows = pooled_empty(weight, (kh + 1, kw, *channels))
    kernel = pooled_empty(weight, (kh + 1, kw + 1, *channels))
    rows[0], rows[-1] = weight[0], weight[-1]
    np.add(weight[1:], weight[:-1], out=rows[1:-1])
    kernel[:, 0], kernel[:, -1] = rows[:, 0], rows[:, -1]
    np.add(rows[:, 1:], rows[:, :-1], out=kernel[:, 1:-1])
    return kernel
