"""Masks drawn with Label Studio's brush: RGBA pixels in the packed runs of the library rle-pack."""

from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.utils.errors import UserError


class _BitStream:
    """Unsigned numbers read from the bits of a list of bytes; a UserError if it ends too early."""

    def __init__(self, packed: Any) -> None:
        try:
            self._bits = np.unpackbits(np.array(packed, np.uint8))
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError("a brush mask is no list of bytes; export it again") from error
        self._place = 0

    def read(self, size: int) -> int:
        return int(self.read_many(1, size)[0])

    def read_many(self, count: int, size: int) -> Array:
        """Return the next ``count`` numbers of ``size`` bits."""
        start, self._place = self._place, self._place + count * size
        if self._place > len(self._bits):
            raise UserError("a brush mask ends too early; export it again")
        weights = 1 << np.arange(size, dtype=np.int64)[::-1]
        numbers: Array = self._bits[start : self._place].reshape(count, size) @ weights
        return numbers


def decode_brush(packed: Any, height: int, width: int) -> Array:
    """Return the mask (height, width) bool of the pixels that are not transparent.

    The bytes are a stream of bits: 32 bits with the number of values, 5 with the size of a value minus 1, and four
    times 4 bits with the sizes of lengths minus 1. Then come runs: a bit that is 1 for a repeated value and 0 for
    different ones, 2 bits that choose the size of the length, the length minus 1, and the value or the values.

    Raises
    ------
    UserError
        When the bytes are no such stream or have another number of pixels.
    """
    stream = _BitStream(packed)
    total, value_size = stream.read(32), stream.read(5) + 1
    length_sizes = [stream.read(4) + 1 for _ in range(4)]
    if total != 4 * height * width:
        raise UserError(f"a brush mask of {total} values, expected 4×{height}×{width} for the image")
    visible, done = np.zeros(total, bool), 0
    while done < total:
        repeated = stream.read(1)
        length = stream.read(length_sizes[stream.read(2)]) + 1
        if done + length > total:
            raise UserError("a brush mask has too many values; export it again")
        visible[done : done + length] = stream.read_many(1 if repeated else length, value_size) > 0
        done += length
    alpha: Array = visible.reshape(height, width, 4)[:, :, 3]
    return alpha
