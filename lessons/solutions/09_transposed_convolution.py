"""Solutions to the exercises of lesson 9. Run it: it checks itself."""

import numpy as np

from scratchnet.ops.convolution import conv2d
from scratchnet.ops.transposed import conv_transpose2d

rng = np.random.default_rng(0)

# %%
# 1. The window of output o begins one position to the left of o. The kernel entries that fall on the padding have no
#    column. W is square, with y on the diagonal, z above it and x below it. The product is not the identity matrix: the
#    transpose is not the inverse.
x, y, z = 1.0, 2.0, 1.0
W = y * np.eye(5) + z * np.eye(5, k=1) + x * np.eye(5, k=-1)
numbers = rng.standard_normal(5)
row = conv2d(numbers.reshape(1, 1, 5, 1), np.array([x, y, z]).reshape(1, 3, 1, 1), padding=(0, 1))
assert np.allclose(W @ numbers, row.ravel())
assert not np.allclose(W.T @ W, np.eye(5))
assert (W.T @ W)[2].tolist() == [1, 4, 6, 4, 1]  # it blurs a second time

# %%
# 2. (h − 1)·2 + k − 2p + extra = 2h requires extra = 2 − k + 2p, and extra must be 0 or 1.
for k, p, extra in ((2, 0, 0), (3, 1, 1), (4, 1, 0), (5, 2, 1)):
    assert extra == 2 - k + 2 * p
    doubled = conv_transpose2d(np.ones((1, 6, 6, 1)), np.ones((k, k, 1, 1)), None, 2, p, extra)
    assert doubled.shape[1:3] == (12, 12)

# %%
# 3. The convolution has one window, the whole map, so W is a single row of 49 values. Its transpose is a column: the
#    single input value is multiplied by the kernel. With channels this is a matrix product, as in a fully connected
#    layer.
kernel = rng.standard_normal((7, 7))
unfolded = conv_transpose2d(np.full((1, 1, 1, 1), 3.0), kernel.reshape(7, 7, 1, 1))
assert np.allclose(unfolded[0, :, :, 0], 3 * kernel)

# %%
# 4. The padding is k − 1 − p. With p = 1 and k = 3 it is 1 again. So a 3×3 deconvolution that keeps the size, as in
#    DeconvNet, can compute exactly what a 3×3 convolution can.
maps, weight = rng.standard_normal((1, 6, 6, 1)), rng.standard_normal((3, 3, 1, 1))
for p in (0, 1, 2):
    ordinary = conv2d(maps, weight[::-1, ::-1], padding=3 - 1 - p)
    assert np.allclose(conv_transpose2d(maps, weight, padding=p), ordinary)
print("all solutions hold")
