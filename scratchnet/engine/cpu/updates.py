"""Sums of gradients on all cores."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.chunks import parallel_rows


def add_to(total: Array, term: Array) -> None:
    """Add a gradient to the sum of gradients; weights (kh, kw, c_in, c_out) on all cores."""
    if total.ndim != 4:
        return NotImplemented  # type: ignore[no-any-return]
    parallel_rows(lambda total, term: np.add(total, term, out=total), total, term)


def copy_to(total: Array, term: Array) -> None:
    """Replace the sum of gradients by a gradient; weights (kh, kw, c_in, c_out) on all cores."""
    if total.ndim != 4:
        return NotImplemented  # type: ignore[no-any-return]
    parallel_rows(np.copyto, total, term)
