"""Solutions to the exercises of lesson 4. Run it: it checks itself."""

import numpy as np

from scratchnet.ops.convolution import conv2d

rng = np.random.default_rng(0)

# %%
# 1. Every window is one pixel, so the rows of the matrix are the pixels of the image. ``@`` alone is enough.
x, weight = rng.standard_normal((2, 5, 4, 3)), rng.standard_normal((1, 1, 3, 6))
assert np.allclose(x @ weight[0, 0], conv2d(x, weight))

# %%
# 2. 8·128·128 rows of 3·3·64 values of 4 bytes; with stride 2, a quarter of the rows.
columns = 8 * 128 * 128 * (3 * 3 * 64) * 4
assert columns == 301_989_888  # 302 MB; the images themselves have 33.6 MB
assert columns // 4 == 8 * 64 * 64 * (3 * 3 * 64) * 4  # 75.5 MB

# %%
# 3. The counts range from 1 in the corners to 9 in the middle. Their sum is 81: 9 windows of 9 values.
numbers = np.arange(25).reshape(5, 5)
windows = np.lib.stride_tricks.sliding_window_view(numbers, (3, 3)).reshape(9, 9)
counts = np.bincount(windows.ravel()).reshape(5, 5)
assert counts.tolist() == [[1, 2, 3, 2, 1], [2, 4, 6, 4, 2], [3, 6, 9, 6, 3], [2, 4, 6, 4, 2], [1, 2, 3, 2, 1]]
assert counts.sum() == 81

# %%
# 4. One row per image, because only one window fits. The convolution is then an ordinary product with a matrix of n
#    rows. (The code uses smaller arrays to be quick.)
images, kernel = rng.standard_normal((3, 7, 7, 8)), rng.standard_normal((7, 7, 8, 10))
assert np.allclose(images.reshape(3, -1) @ kernel.reshape(-1, 10), conv2d(images, kernel)[:, 0, 0])
print("all solutions hold")
