"""Solutions to the exercises of lesson 17. Run it: it checks itself."""

import numpy as np

from scratchnet.data import Window
from scratchnet.data.objects.box_sampling import pairwise_iou
from scratchnet.ops.activation import softmax

# %%
# 1. C is [1, 1, 3, 3] at pixels 4 to 7: it changes the pixels 6 and 7, and 5, where 1 exceeds 0.
maps = np.array([[2, 2, 6, 6, 0, 0, 0, 0], [0, 0, 4, 4, 4, -1, -1, -1], [0, 0, 0, 0, 1, 1, 3, 3]])
assert maps.max(axis=0).tolist() == [2, 2, 6, 6, 4, 1, 3, 3]

# %%
# 2. Both give class 0 here. They differ when one network is very sure and the others disagree weakly: a score is
#    unbounded, but a probability is at most 1.
first, second = np.array([2.0, 0.0]), np.array([0.0, 1.0])
assert ((softmax(first) + softmax(second)) / 2).argmax() == softmax((first + second) / 2).argmax() == 0
three = np.array([[9.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
assert softmax(three.mean(axis=0)).argmax() == 0
assert softmax(three).mean(axis=0).argmax() == 1

# %%
# 3. They share rows 4 to 9 and columns 2 to 9, 6·8 = 48 pixels. The object's box has 64 and the proposal 100, so the
#    union has 64 + 100 − 48 = 116, and the IoU is 48/116 = 0.41: not found.
(iou,) = pairwise_iou([Window(2, 2, 8, 8)], [Window(4, 0, 10, 10)]).ravel()
assert np.isclose(iou, 48 / 116)
assert iou < 0.5

# %%
# 4. 50 · 224² = 2,508,800 pixels against 187,500: 13.4 times as many.
assert round(50 * 224**2 / (500 * 375), 1) == 13.4
print("all solutions hold")
