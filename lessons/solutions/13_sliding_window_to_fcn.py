"""Solutions to the exercises of lesson 13. Run it: it checks itself."""

import numpy as np

from scratchnet.ops.convolution import conv2d

# %%
# 1. Four blocks, each with a 3×3 convolution and a 2×2 pool.
length, step = 1, 1
for _ in range(4):
    length += 2 * step + step
    step *= 2
assert (length, step) == (46, 16)

# %%
# 2. The number stays the same: only the shape changes.
assert 7 * 7 * 512 * 4096 == 102_760_448
weight = np.arange(7 * 7 * 2 * 3).reshape(7 * 7 * 2, 3)
assert weight.reshape(7, 7, 2, 3).size == weight.size

# %%
# 3. The map of the image shifted by (i, j) gives the scores of the pixels (i, j), (i, j + 2), …
rng = np.random.default_rng(0)
first, second = rng.standard_normal((3, 3, 3, 4)), rng.standard_normal((6, 6, 4, 2))


def scores(image: np.ndarray) -> np.ndarray:
    """Return scores two pixels apart, each with a receptive field of 13 pixels."""
    return conv2d(np.maximum(conv2d(image, first, stride=2), 0), second)


image = rng.standard_normal((1, 28, 28, 3))
dense = np.empty((1, 16, 16, 2))
for i in range(2):
    for j in range(2):
        dense[:, i::2, j::2] = scores(image[:, i : i + 27, j : j + 27])
for row, column in ((0, 0), (3, 7), (15, 15), (4, 9)):
    window = scores(image[:, row : row + 13, column : column + 13])
    assert np.allclose(window[0, 0, 0], dense[0, row, column])
print("all solutions hold")
