"""Solutions to the exercises of lesson 22. Run it: it checks itself."""

import numpy as np

from scratchnet.engine.cuda.compiled import row_launch


# %%
# 1. 2·c·c operations per pixel, c values read and c written with 4 bytes each: c/4 operations per byte. 15 are needed.
def intensity(c: int) -> float:
    """Return the operations per byte."""
    return 2 * c * c / (4 * (c + c))


assert intensity(64) == 16
assert intensity(60) == 15

# %%
# 2. A row has 224·64 values. A block has 256 threads, each with up to 4 values, so 14 blocks per row.
grid, block = row_launch(224, 224 * 64)
assert (grid, block) == ((224, 14), (256, 1))
threads = grid[0] * grid[1] * block[0] * block[1]
assert threads == 802_816
assert 224 * 224 * 64 / threads == 4

# %%
# 3. 1e8 + 1 is 1e8 in float32, and −1e8 + 1 is −1e8: the sum is 0. From left to right it is 1; the exact sum is 2. Both
#    orders are as accurate as float32 allows, and both are the same on every run. The package sums over pixels in this
#    way: many short sums, then one over their results.
a, b, c, d = np.array([1e8, 1, -1e8, 1], np.float32)
assert (a + b) + (c + d) == 0
assert ((a + b) + c) + d == 1

# %%
# 4. To 2¹¹ = 2048 and to 2²⁴ = 16,777,216: the next integer needs one bit more.
assert np.float32(2**24) + np.float32(1) == 2**24
assert np.float32(2**24 - 1) + np.float32(1) == 2**24
assert np.float16(2**11) + np.float16(1) == 2**11  # float16 has 11 bits as well
print("all solutions hold")
