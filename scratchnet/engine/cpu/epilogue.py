"""The epilogue of a convolution: scale, shift and ReLU while a block of the output is still in the cache.

As passes over the whole map, they would load and store it from main memory once more each, and need a second map.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.activation import keep_positive
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.memory_layout import row_of
from scratchnet.ops.epilogue import Epilogue


class BlockEpilogue:
    """An epilogue for blocks of at most ``pixels`` pixels in a row.

    Parameters
    ----------
    epilogue : Epilogue
    pixels : int
    """

    def __init__(self, epilogue: Epilogue, pixels: int) -> None:
        self._relu = epilogue.relu
        self._rows: tuple[Array, Array] | None = None
        if epilogue.scale is not None and epilogue.shift is not None:
            self._rows = row_of(epilogue.scale, pixels), row_of(epilogue.shift, pixels)

    def apply(self, block: Array) -> None:
        """Change a block (…, pixels·c) in place."""
        if self._rows is not None:
            scale, shift = (row[: block.shape[-1]] for row in self._rows)
            np.multiply(block, scale, out=block)
            np.add(block, shift, out=block)
        if self._relu:
            keep_positive(block)

    def apply_to_pixels(self, block: Array) -> None:
        """Change a block (…, pixels, c), whose rows need not be contiguous, in place."""
        if self._rows is not None:
            scale, shift = (row.reshape(-1, block.shape[-1])[: block.shape[-2]] for row in self._rows)
            np.multiply(block, scale, out=block)
            np.add(block, shift, out=block)
        if self._relu:
            keep_positive(block)


def apply_epilogue(y: Array, epilogue: Epilogue | None) -> Array:
    """Change the output ``y`` (n, h, w, c) of a convolution in place, in one pass, and return it."""
    if epilogue is not None:
        parallel_rows(BlockEpilogue(epilogue, y.shape[2]).apply, y)
    return y
