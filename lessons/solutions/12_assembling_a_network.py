"""Solutions to the exercises of lesson 12. Run it: it checks itself."""

import numpy as np

from scratchnet.gradcheck import check_gradients, from_network
from scratchnet.layers import Add, BatchNorm2d, Conv2d, ConvTranspose2d, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.network import Network

# %%
# 1. The gradient of a product with respect to one factor is the other factor. x is used three times: 2·3 + 6·3 + 15 =
#    39.


class Product:
    """y = a·b."""

    def forward(self, a: float, b: float) -> float:
        """Save both factors."""
        self.factors = a, b
        return a * b

    def backward(self, dy: float) -> tuple[float, float]:
        """Return the gradients with respect to a and b."""
        a, b = self.factors
        return b * dy, a * dy


x = 3.0
inner, outer = Product(), Product()
total = 2 * x + inner.forward(x, x)
assert outer.forward(total, x) == 45
dtotal, dx = outer.backward(1.0)
for part in (2 * dtotal, *inner.backward(dtotal)):
    dx += part
assert dx == 39  # 4x + 3x² at 3

# %%
# 2. A layer from a to b channels with a 3×3 kernel has 9ab weights and b biases. Its batch norm has b scales and b
#    shifts.
layers = [(3, 8), (8, 16), (16, 16), (16, 8), (8, 8)]
assert sum(9 * a * b + 3 * b for a, b in layers) + (8 * 2 + 2) == 5586

# %%
# 3. −0.11·log 0.11 − 0.89·log 0.89. In the figure the loss falls quickly from log 2 = 0.69 to about this value and then
#    slows down.
share = 0.11
stuck = -share * np.log(share) - (1 - share) * np.log(1 - share)
assert round(stuck, 2) == 0.35

# %%
# 4. Add one more step, `Add`, whose backward passes the same gradient to both inputs; the list does the rest.
net = Network(channels=3, stride=2)
net.add("conv1", Conv2d(3, 4, 3, padding=1))
net.add("conv1_bn", BatchNorm2d(4))
net.add("conv1_relu", ReLU())
net.add("pool1", MaxPool2d(2))
net.add("unpool1", MaxUnpool2d(), "pool1", "pool1.switches")
net.add("deconv1", ConvTranspose2d(4, 4, 3, padding=1))
net.add("deconv1_relu", ReLU())
net.add("skip", Add(), "deconv1_relu", "conv1_relu")
net.add("score", Conv2d(4, 2, 1))
image = np.random.default_rng(0).standard_normal((1, 6, 6, 3))
assert check_gradients("skip", from_network(net, image), tolerance=1e-5, most=8).ok
print("all solutions hold")
