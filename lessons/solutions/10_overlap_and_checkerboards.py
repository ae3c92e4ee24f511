"""Solutions to the exercises of lesson 10. Run it: it checks itself."""

import numpy as np

from scratchnet.ops.convolution import conv2d
from scratchnet.ops.resampling import upsample_nearest
from scratchnet.ops.transposed import conv_transpose2d


def copies(inputs: int, k: int, s: int) -> list[int]:
    """Return how many copies of a kernel of size k cover each output."""
    ones = np.ones((1, 1, inputs, 1)), np.ones((1, k, 1, 1))
    return conv_transpose2d(*ones, stride=(1, s)).astype(int).ravel().tolist()


# %%
# 1. Copies start at 0, 3 and 6. Neighbouring copies overlap by two with size 5, and by three, everywhere, with size 6.
assert copies(3, 5, 3) == [1, 1, 1, 2, 2, 1, 2, 2, 1, 1, 1]
assert copies(3, 6, 3) == [1, 1, 1, 2, 2, 2, 2, 2, 2, 1, 1, 1]

# %%
# 2. k = 2·3 − 1 = 5 and the centre is 2: 1/3, 2/3, 1, 2/3, 1/3. Phases: 1/3 + 2/3, 2/3 + 1/3, 1.
tent = 1 - np.abs(np.arange(5) - 2) / 3
assert np.allclose(tent, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
assert np.allclose([tent[phase::3].sum() for phase in range(3)], 1)

# %%
# 3. A copied constant is constant. A convolution at stride 1 gives every output (away from the border) the same window,
#    so there is only one phase.
rng = np.random.default_rng(0)
smooth = conv2d(upsample_nearest(np.ones((1, 5, 5, 1)), 2), rng.standard_normal((3, 3, 1, 1)))
assert np.ptp(smooth) < 1e-12

# %%
# 4. Two along each axis, so four. (10 − 1)·8 + 16 = 88.
large = conv_transpose2d(np.ones((1, 10, 10, 1)), np.ones((16, 16, 1, 1)), stride=8)
assert large.shape[1:3] == (88, 88)
assert (large[0, 8:-8, 8:-8] == 4).all()
print("all solutions hold")
