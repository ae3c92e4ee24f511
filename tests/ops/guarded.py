"""Run every operation on strided arrays that end, or begin, at memory which may not be touched.

A read outside of an array kills the process. With the argument ``beyond`` it makes one on purpose.
"""

import ctypes
import mmap
import sys

import numpy as np

from tests.ops.operation_cases import CASES, LAYOUTS, copied, leaves, with_leaves

PAGE = mmap.PAGESIZE
SIDES = ("begin", "end")
STRIDED = ("channel slice", "crop", "BGR", "all reversed", "NCHW", "steps")
_libc = ctypes.CDLL(None, use_errno=True)
_kept = []


class Guarded:
    """Pages between two that may not be touched, used again for every array."""

    def __init__(self, pages=64):
        self.memory = mmap.mmap(-1, (pages + 2) * PAGE)
        _kept.append(self.memory)
        self.size = pages * PAGE
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        for page in (start, start + PAGE + self.size):
            if _libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")

    def place(self, array, side):
        """Return ``array`` with the same strides, the first or last byte that it owns beside a forbidden page."""
        low, high = np.lib.array_utils.byte_bounds(array)
        length = high - low
        begin = PAGE if side == "begin" else PAGE + self.size - length
        offset = begin + array.__array_interface__["data"][0] - low
        placed = np.ndarray(array.shape, array.dtype, self.memory, offset, array.strides)
        placed[...] = array
        return placed


def main():
    guarded = Guarded()
    if sys.argv[1:] == ["beyond"]:
        row = guarded.place(np.arange(8.0), "end")
        np.lib.stride_tricks.as_strided(row, (9 + PAGE // 8,), row.strides).sum()
        return
    count = 0
    for case in CASES.values():
        for path, array in leaves(case.arguments).items():
            for layout in STRIDED:
                strided = LAYOUTS[layout](array.copy())
                for side in SIDES:
                    case.call(with_leaves(copied(case.arguments), {path: guarded.place(strided, side)}))
                    count += 1
    print(count)


if __name__ == "__main__":
    main()
