"""Solutions to the exercises of lesson 21. Run it: it checks itself."""

import numpy as np

# %%
# 1. 14·14 tiles with 36 multiplications for each pair of channels.
direct = 56 * 56 * 9 * 64 * 64
winograd = 14 * 14 * 36 * 64 * 64
assert winograd == 28_901_376
assert direct / winograd == 4

# %%
# 2. Both sides are linear in each value, so a few random ones are enough.
rng = np.random.default_rng(0)
for _ in range(5):
    d0, d1, d2, d3, g0, g1, g2 = rng.standard_normal(7)
    m0, m3 = (d0 - d2) * g0, (d1 - d3) * g2
    m1, m2 = (d1 + d2) * (g0 + g1 + g2) / 2, (d2 - d1) * (g0 - g1 + g2) / 2
    assert np.isclose(m0 + m1 + m2, d0 * g0 + d1 * g1 + d2 * g2)
    assert np.isclose(m1 - m2 - m3, d1 * g0 + d2 * g1 + d3 * g2)

# %%
# 3. The 1×1 convolution does 32 multiplications for each number of the two maps and the weights, ReLU half a comparison
#    for each number read or written. The convolution gains from a second core; ReLU gains only if two cores have more
#    memory bandwidth than one.
pixels = 56 * 56
per_number = pixels * 64 * 64 / (2 * pixels * 64 + 64 * 64)
assert 31 < per_number < 32
relu_per_number = pixels * 64 / (2 * pixels * 64)
assert relu_per_number == 0.5

# %%
# 4. ``out=`` overwrites the input. (Comparing with an array of zeros instead of the scalar 0 is faster still.)
x = rng.standard_normal(4_000_000).astype(np.float32)
expected = np.maximum(x, 0)
same = np.maximum(x, 0, out=x)
assert same is x
assert (x == expected).all()
print("all solutions hold")
