"""Solutions to the exercises of lesson 14. Run it: it checks itself."""

import numpy as np

from scratchnet.models import build
from scratchnet.network.switch_memory import SwitchMemory, count_switches
from scratchnet.ops.shape import concatenate, concatenate_backward, crop2d, crop2d_backward

# %%
# 1. The gradient is split where the maps are joined: [10, 20] and [30]. The second map gets 30 + 5 = 35.
joined = concatenate(np.array([1.0, 2.0]).reshape(1, 1, 1, 2), np.array([3.0]).reshape(1, 1, 1, 1))
first, second = concatenate_backward(np.array([10.0, 20.0, 30.0]).reshape(joined.shape), [2, 1])
assert first.ravel().tolist() == [10, 20]
assert (second + 5).item() == 35

# %%
# 2. Number of windows, in ceil mode: 180×240, 90×120, 45×60, 23×30, 12×15.
windows = [(180, 240, 64), (90, 120, 128), (45, 60, 256), (23, 30, 512), (12, 15, 512)]
maps = [(360, 480, 64), (180, 240, 128), (90, 120, 256), (45, 60, 512), (23, 30, 512)]
switches = sum(-(-h * w * c // 4) for h, w, c in windows)
assert switches == 1_320_960
assert 4 * sum(h * w * c for h, w, c in maps) == 84_357_120
net = build("segnet", classes=11)
shapes = net.shapes((360, 480))
pools = [(step.layer, shapes[f"{step.name}.switches"]) for step in net.steps if step.name.startswith("pool")]
counted = sum((count_switches(layer, shape) for layer, shape in pools), SwitchMemory())
assert (counted.packed, counted.floats) == (switches, 84_357_120)


# %%
# 3. 188, 204, 220, 236, in steps of 16. The output loses 92 pixels on every side.
def out(side: int) -> int | None:
    """Return U-Net's output size, or None if a pool sees an odd number of rows."""
    for _ in range(4):
        side -= 4
        if side % 2:
            return None
        side //= 2
    side -= 4
    for _ in range(4):
        side = 2 * side - 4
    return side


fitting = {side: out(side) for side in range(180, 241) if out(side) is not None}
assert fitting == {188: 4, 204: 20, 220: 36, 236: 52}
assert build("unet", classes=2).shapes((188, 188))["whole"][1:3] == (4, 4)

# %%
# 4. It puts the gradient back at the cropped position, with zeros around it: pixels that were cut off have no
#    influence.
x = np.arange(25.0).reshape(1, 5, 5, 1)
dx = crop2d_backward(np.ones_like(crop2d(x, (1, 1), (3, 3))), (1, 1), (5, 5))
assert dx[0, 1:4, 1:4, 0].all()
assert dx.sum() == 9
print("all solutions hold")
