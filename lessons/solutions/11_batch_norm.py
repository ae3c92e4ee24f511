"""Solutions to the exercises of lesson 11. Run it: it checks itself."""

import numpy as np

from scratchnet.ops.convolution import conv2d
from scratchnet.ops.normalization import batch_norm, batch_norm_fixed

rng = np.random.default_rng(0)

# %%
# 1. Mean 4, distances −2, 0, 0, 2, mean square 2: x̂ is −√2, 0, 0, √2, and y is 3·x̂ + 1.
y, _ = batch_norm(np.array([2.0, 4.0, 4.0, 6.0]).reshape(1, 1, 4, 1), np.array([3.0]), np.array([1.0]))
assert y.ravel().round(1).tolist() == [-3.2, 1.0, 1.0, 5.2]

# %%
# 2. γ·(w∗x + b − μ)/√(σ²+ε) + β: multiply the kernel by γ/√(σ²+ε), one factor per output channel. The bias becomes (b −
#    μ)·γ/√(σ²+ε) + β.
x, weight, bias = rng.standard_normal((2, 6, 6, 3)), rng.standard_normal((3, 3, 3, 4)), rng.standard_normal(4)
gamma, beta, mean, variance = (
    rng.standard_normal(4),
    rng.standard_normal(4),
    rng.standard_normal(4),
    rng.uniform(1, 2, 4),
)
two_steps, _ = batch_norm_fixed(conv2d(x, weight, bias), gamma, beta, mean, variance)
factor = gamma / np.sqrt(variance + 1e-5)
assert np.allclose(two_steps, conv2d(x, weight * factor, (bias - mean) * factor + beta))

# %%
# 3. The result does not change at all, so the gradient is 0.
upstream = rng.standard_normal((2, 4, 4, 4))
ends = []
for step in (1e-3, -1e-3):
    shifted = conv2d(x, weight, bias + step * np.array([1.0, 0.0, 0.0, 0.0]))
    ends.append((batch_norm(shifted, gamma, beta)[0] * upstream).sum())
assert abs(ends[0] - ends[1]) / 2e-3 < 1e-9

# %%
# 4. After n updates the start's share is (1 − pace)ⁿ.
assert 0.9**43 > 0.01 > 0.9**44
assert 0.99**458 > 0.01 > 0.99**459
print("all solutions hold")
