"""Run-length encoded masks of COCO: lengths of the runs of 0 and 1 in turn, down the columns from left to right."""

from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.utils.errors import UserError

_DIGITS = 5
"""Bits in a character of the compressed form; the next bit tells whether another character follows."""


def decode_runs(runs: Sequence[int], height: int, width: int) -> Array:
    """Return the mask (height, width) bool of the lengths of its runs, of which the first is of 0.

    Raises
    ------
    UserError
        When a length is negative, or they do not add up to the number of pixels.
    """
    if any(type(run) is not int or run < 0 for run in runs):
        raise UserError("a run length is not a whole number of at least 0")
    if sum(runs) != height * width:
        raise UserError(f"the run lengths add up to {sum(runs)}, expected {height}×{width} = {height * width} pixels")
    ones = np.arange(len(runs)) % 2 == 1
    columns: Array = np.repeat(ones, np.array(runs, np.int64)).reshape(width, height)
    return columns.T


def unpack_runs(text: str) -> list[int]:
    """Return the lengths of the runs in COCO's compressed form.

    Every number is written in characters of five bits, the lowest first, with the sign in the highest bit of the last
    one. From the fourth on, a number is the difference from the length two runs before.

    Raises
    ------
    UserError
        When the text has a character outside ``0`` to ``o`` or ends inside a number.
    """
    runs: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise UserError(f"the compressed run lengths hold {character!r} in an impossible place")
        number |= (bits & 31) << shift
        shift += _DIGITS
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    if shift:
        raise UserError("the compressed run lengths end inside a number")
    return runs
