"""Solutions to the exercises of lesson 19. Run it: it checks itself."""

import numpy as np

from scratchnet.layers import Conv2d, LeakyReLU, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.network import Network
from scratchnet.ops.switches import Switches
from scratchnet.visualization import Unit, occlusion_grid, projections

# %%
# 1. The gradient multiplies by the slope that the output selects: −1 · 1 and 5 · 0.1. A deconvnet rule multiplies by
#    the slope that the signal selects: leaky ReLU applied to the signal, −0.1 and 5. With slope 0 that is max(g, 0).
y, g, slope = np.array([2.0, -0.2]), np.array([-1.0, 5.0]), 0.1
assert np.allclose(np.where(y > 0, 1, slope) * g, [-1, 0.5])
assert np.allclose(np.where(g > 0, 1, slope) * g, [-0.1, 5])
leaky = Network(1)
leaky.add("relu", LeakyReLU(slope))
leaky.allocate(0, np.float64)
image = np.array([2.0, -2.0]).reshape(1, 1, 2, 1)
assert projections(leaky, image, Unit(0, 1, 0))["gradient"][0, 1, 0] == slope

# %%
# 2. The methods differ at ReLU alone. A max-pool is not linear either, but all three lead the signal to the same
#    switch.
plain = Network(1)
plain.add("conv1", Conv2d(1, 4, 3))
plain.add("pool", MaxPool2d(2))
plain.add("conv2", Conv2d(4, 2, 2))
plain.allocate(1, np.float64)
x = np.random.default_rng(0).standard_normal((1, 8, 8, 1))
found = projections(plain, x, Unit(1, 0, 1))
assert np.array_equal(found["gradient"], found["deconvnet"])
assert np.array_equal(found["gradient"], found["guided"])

# %%
# 3. 96 / 6 = 16 positions in each direction, 256 passes. For 224×224, 224 / 14 = 16: a stride of 14.
assert len(occlusion_grid((96, 96), patch=12, stride=6).windows()) == 16 * 16
assert len(occlusion_grid((224, 224), patch=28, stride=13).windows()) == 18 * 18 > 256
assert len(occlusion_grid((224, 224), patch=28, stride=14).windows()) == 256
assert occlusion_grid((224, 224)).stride == 14

# %%
# 4. Both halves use them: the decoder's unpoolings read the signal at the switches on the way down, and the encoder's
#    pools put it there on the way up. By hand for one window, with the switches of another image:
own = np.array([[7.0, 1.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)
pool, unpool, relu = MaxPool2d(2), MaxUnpool2d(), ReLU()
relu.forward(pool.forward(own))
lent = Switches(np.array([3], np.uint8).reshape(1, 1, 1, 1), (2, 2), (2, 2), (2, 2), (0, 0))
unpool.forward(pool.forward(own), lent)
signal = np.arange(1.0, 5).reshape(1, 2, 2, 1)
read, _ = unpool.backward(signal)
assert read.item() == 4  # read at the lent switch
assert np.array_equal(pool.backward(relu.backward(read))[0, :, :, 0], [[4, 0], [0, 0]])  # put at its own
