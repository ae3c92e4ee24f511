"""Solutions to the exercises of lesson 8. Run it: it checks itself."""

import numpy as np
from PIL import Image

from scratchnet.data import sample_folder
from scratchnet.ops.convolution import conv2d
from scratchnet.ops.pooling import max_pool2d, max_unpool2d
from scratchnet.ops.resampling import bed_of_nails, upsample_nearest
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward

rng = np.random.default_rng(0)

# %%
# 1. Every channel contributes only to itself, with the value 1 at all four positions: the identity matrix, four times.
x = rng.standard_normal((1, 3, 3, 3))
weight = np.broadcast_to(np.eye(3), (2, 2, 3, 3))
assert np.allclose(conv_transpose2d(x, weight, stride=2), upsample_nearest(x, 2))

# %%
# 2. Copies, nails and switches preserve positive values, since the rest of a window is 0 or equal; a learned stencil
# returns the map only if its largest entry is 1. Only copies preserve a negative value: elsewhere the zeros are larger.
positive = rng.uniform(0.1, 1, (1, 2, 2, 1))
_, switches = max_pool2d(rng.standard_normal((1, 4, 4, 1)), 2)
for sign in (1, -1):
    y = sign * positive
    survives = [
        bool((max_pool2d(x, 2)[0] == y).all())
        for x in (upsample_nearest(y, 2), bed_of_nails(y, 2), max_unpool2d(y, switches))
    ]
    assert survives == ([True, True, True] if sign > 0 else [True, False, False])
stencil = np.array([[0.2, 1.0], [0.4, 0.0]]).reshape(2, 2, 1, 1)
assert (max_pool2d(conv_transpose2d(positive, stencil, stride=2), 2)[0] == positive).all()

# %%
# 3. Entry (i, j) is multiplied by the pooled map and should give the pixels x at position (i, j) of their windows. The
#    slope of Σ (a·y − x)² with respect to a is Σ 2·(a·y − x)·y. It is 0, and the error smallest, at a = Σ x·y / Σ y².
smear = sample_folder("smears") / "images" / "cells-0000.png"
edge = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]).reshape(3, 3, 1, 1)
wanted = np.maximum(conv2d(1 - np.asarray(Image.open(smear))[None, :, :, 1:2] / 255, edge), 0)
wanted /= np.sqrt((wanted**2).mean())
y, _ = max_pool2d(wanted, 2)
best = np.array([[(y * wanted[:, i::2, j::2]).sum() / (y**2).sum() for j in (0, 1)] for i in (0, 1)])
kernel = np.zeros((2, 2, 1, 1))
for _ in range(300):
    error = conv_transpose2d(y, kernel, stride=2) - wanted
    kernel -= 0.3 * conv_transpose2d_backward(error / error.size, y, kernel, stride=2)[1]
assert np.allclose(kernel[:, :, 0, 0], best, atol=1e-6)

# %%
# 4. The convolution has 4 · 4 · 512 · 512 weights and 512 biases; switches have no parameters.
assert 4 * 4 * 512 * 512 + 512 == 4_194_816
print("all solutions hold")
