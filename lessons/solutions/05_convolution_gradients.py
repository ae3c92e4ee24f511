"""Solutions to the exercises of lesson 5. Run it: it checks itself."""

import numpy as np

from scratchnet.ops.convolution import conv2d_backward

rng = np.random.default_rng(0)

# %%
# 1. Every window adds a one to each of its pixels, so dx is the number of windows that contain the pixel.
x, ones = np.zeros((1, 5, 5, 1)), np.ones((3, 3, 1, 1))
dx, _, _ = conv2d_backward(np.ones((1, 3, 3, 1)), x, ones)
counts = [[1, 2, 3, 2, 1], [2, 4, 6, 4, 2], [3, 6, 9, 6, 3], [2, 4, 6, 4, 2], [1, 2, 3, 2, 1]]
assert dx is not None
assert dx[0, :, :, 0].tolist() == counts

# %%
# 2. The windows are the individual pixels.
x, weight, dy = rng.standard_normal((2, 4, 5, 3)), rng.standard_normal((1, 1, 3, 6)), rng.standard_normal((2, 4, 5, 6))
dx = dy @ weight[0, 0].T
dweight = x.reshape(-1, 3).T @ dy.reshape(-1, 6)
dbias = dy.sum(axis=(0, 1, 2))
packaged = conv2d_backward(dy, x, weight)
assert np.allclose(dx, packaged[0])
assert np.allclose(dweight, packaged[1][0, 0])
assert np.allclose(dbias, packaged[2])

# %%
# 3. dx: no layer comes before this convolution, and the image is not learned. This saves one of the two products.
assert conv2d_backward(dy, x, weight, needs_input_grad=False)[0] is None

# %%
# 4. Row 7, the last. It is in no window, so the loss does not depend on it.
x, weight = rng.standard_normal((1, 8, 8, 1)), rng.standard_normal((3, 3, 1, 1))
dx, _, _ = conv2d_backward(rng.standard_normal((1, 3, 3, 1)), x, weight, stride=2)
assert dx is not None
assert [row for row in range(8) if not dx[0, row].any()] == [7]
print("all solutions hold")
