"""Solutions to the exercises of lesson 3. Run it: it checks itself."""

import numpy as np

from scratchnet.ops.convolution import conv2d

# %%
# 1. (10 + 2 − 3) // 1 + 1 = 10 and 6; (10 + 4 − 5) // 2 + 1 = 5 and 3; a 1×1 kernel changes no size.
x = np.zeros((1, 10, 6, 1))
assert conv2d(x, np.zeros((3, 3, 1, 1)), padding=1).shape == (1, 10, 6, 1)
assert conv2d(x, np.zeros((5, 5, 1, 1)), stride=2, padding=2).shape == (1, 5, 3, 1)
assert conv2d(x, np.zeros((1, 1, 1, 1))).shape == (1, 10, 6, 1)

# %%
# 2. Every value is one ninth. A constant map stays the same, except at the border, where the window contains zeros from
#    the padding: five of the nine at a corner, three at any other border pixel.
mean = np.full((3, 3, 1, 1), 1 / 9)
plain = np.full((1, 6, 6, 1), 9.0)
blurred = conv2d(plain, mean, padding=1)[0, :, :, 0]
assert np.allclose(blurred[1:-1, 1:-1], 9)
assert np.allclose(blurred[0, 0], 4)
assert np.allclose(blurred[0, 1:-1], 6)

# %%
# 3. A value of the second map depends on 3×3 values of the first, and these depend on 5×5 pixels in total. Two 3×3
#    kernels have 18 weights per pair of channels, one 5×5 kernel has 25.
rng = np.random.default_rng(0)
first, second = rng.standard_normal((3, 3, 1, 1)), rng.standard_normal((3, 3, 1, 1))
seen = np.zeros((9, 9), bool)
for row, column in np.ndindex(9, 9):
    one = np.zeros((1, 9, 9, 1))
    one[0, row, column, 0] = 1
    seen[row, column] = conv2d(conv2d(one, first), second)[0, 2, 2, 0] != 0  # the value in the middle
assert seen.sum() == 25
assert seen[2:7, 2:7].all()
two_small, one_large = 2 * 3 * 3 * 64 * 64, 5 * 5 * 64 * 64
assert (two_small, one_large) == (73_728, 102_400)

# %%
# 4. One third per colour. A 1×1 convolution does not combine pixels; it mixes the channels of each pixel.
colours = rng.random((1, 4, 4, 3))
grey = conv2d(colours, np.full((1, 1, 3, 1), 1 / 3))
assert np.allclose(grey[..., 0], colours.mean(axis=3))
print("all solutions hold")
