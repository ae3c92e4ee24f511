"""Solutions to the exercises of lesson 15. Run it: it checks itself."""

import numpy as np

from scratchnet.models import build
from scratchnet.ops.pooling import max_pool2d, max_unpool2d
from scratchnet.ops.resampling import upsample_nearest

# %%
# 1. Weights and biases of the three layers, then batch norm.
fc6 = 7 * 7 * 512 * 4096 + 4096
fc7 = 4096 * 4096 + 4096
fc6_deconv = 7 * 7 * 4096 * 512 + 512
middle = fc6 + fc7 + fc6_deconv + 2 * (4096 + 4096 + 512)
assert middle == 222_324_224
paper = build("deconvnet", classes=21)
assert middle == sum(p.size for name, p in paper.parameters().items() if name.startswith("fc"))

# %%
# 2. 160 / 32 = 5, so fc6 has a kernel of 5×5.
shapes = build("deconvnet", classes=21, size=160).shapes((160, 160))
assert [shapes[f"pool{i}"][1] for i in (1, 2, 3, 4, 5)] == [80, 40, 20, 10, 5]
assert [shapes[f"unpool{i}"][1] for i in (5, 4, 3, 2, 1)] == [10, 20, 40, 80, 160]
assert build("deconvnet", classes=21, size=160).parameters()["fc6.weight"].size == 5 * 5 * 512 * 4096 == 52_428_800

# %%
# 3. The last pool leaves 7×7 and fc6 has a kernel of 6×6, so there are 2×2 vectors, one per kernel position. fc6-deconv
#    adds four overlapping copies into 7×7 again, and the rest is as before. The network is fully convolutional, but it
#    was never trained with overlapping copies.
shapes = build("deconvnet-small", classes=2, size=96).shapes((112, 112))
assert [shapes[name][1] for name in ("pool4", "fc6", "fc6-deconv", "score")] == [7, 2, 7, 112]

# %%
# 4. Unpooling moves values and adds zeros. There are four times as many positions, so the mean becomes a quarter.
#    Repetition keeps the mean, and the sum becomes four times as large.
x = np.random.default_rng(0).standard_normal((1, 8, 8, 3))
y, switches = max_pool2d(x, 2)
back = max_unpool2d(y, switches)
assert np.isclose(back.sum(), y.sum())
assert np.isclose((back**2).sum(), (y**2).sum())
assert np.isclose(back.mean(), y.mean() / 4)
assert np.isclose(upsample_nearest(y, 2).mean(), y.mean())
print("all solutions hold")
