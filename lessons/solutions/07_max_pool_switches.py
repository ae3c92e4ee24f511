"""Solutions to the exercises of lesson 7. Run it: it checks itself."""

import numpy as np

from scratchnet.ops.pooling import max_pool2d, max_unpool2d

# %%
# 1. The maxima are 5, 6, 7, 8, at the positions (1,1), (0,2), (3,0), (3,3); so 1, 2, 3, 4 go there.
x = np.array([[1, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]], float).reshape(1, 4, 4, 1)
maxima, switches = max_pool2d(x, 2)
assert maxima[0, :, :, 0].tolist() == [[5, 6], [7, 8]]
back = max_unpool2d(np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1), switches)
assert back[0, :, :, 0].tolist() == [[0, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]]

# %%
# 2. Positive values come back, because the rest of each window is 0. A negative value is smaller than those zeros.
assert (max_pool2d(back, 2)[0] == [[[[1], [2]], [[3], [4]]]]).all()
below = max_unpool2d(-np.ones((1, 2, 2, 1)), switches)
assert (max_pool2d(below, 2)[0] == 0).all()

# %%
# 3. There are 112 · 112 windows in each of 64 channels.
windows = 112 * 112 * 64
assert windows == 802_816
assert windows * 8 == 6_422_528  # int64: 6.4 MB
assert windows == 802_816  # bytes: 0.8 MB
assert windows * 2 // 8 == 200_704  # two bits: 0.2 MB

# %%
# 4. The window begins at (2·row, 2·column); the switch gives the position of the maximum within it.
rows, columns = np.indices((2, 2))
i, j = np.divmod(switches.index[0, :, :, 0], 2)
flat = (2 * rows + i) * 4 + (2 * columns + j)
assert (x.ravel()[flat] == maxima[0, :, :, 0]).all()
assert flat.tolist() == [[5, 2], [12, 15]]
print("all solutions hold")
