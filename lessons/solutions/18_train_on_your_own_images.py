"""Solutions to the exercises of lesson 18. Run it: it checks itself."""

import numpy as np

from scratchnet.exercises.lesson_18 import early_stopping
from scratchnet.exercises.lesson_18_worst_images import worst_images


# %%
# 1. A step multiplies w by 1 − 10·rate. The loss rises if this factor is larger than 1 or smaller than −1, that is, for
#    rates above 0.2. With a rate of 0.1 the factor is 0, and one step reaches the minimum.
def losses(rate: float) -> list[float]:
    """Return the losses before and after a step from w = 1."""
    return [5 * w * w for w in (1.0, 1 - 10 * rate)]


assert np.argmax(losses(0.199)) == 0
assert np.argmax(losses(0.201)) == 1
assert losses(0.1)[1] == 0

# %%
# 2. With a patience of 1, training stops at 0.60 and keeps 0.61. With 2, it stops at the second value after 0.66, which
#    is 0.64, and keeps 0.66. With 3, it reaches 0.70 and keeps that.
curve = [0.50, 0.61, 0.60, 0.66, 0.65, 0.64, 0.70]
assert [curve[early_stopping(curve, patience)[0]] for patience in (1, 2, 3)] == [0.61, 0.66, 0.70]
assert [early_stopping(curve, patience)[1] for patience in (1, 2, 3)] == [2, 5, 6]


# %%
# 3. The mask is mirrored as well, and then the labels 1 and 2 are exchanged, because a mirrored L is an object of class
#    2. A table with the new label of each class does this.
def mirror(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mirrored image, and its mask with the classes 1 and 2 exchanged."""
    return image[:, ::-1], np.array([0, 2, 1], np.uint8)[mask[:, ::-1]]


rng = np.random.default_rng(18)
image, mask = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8), rng.integers(0, 3, (5, 6), dtype=np.uint8)
once = mirror(image, mask)
assert (once[1] != mask[:, ::-1]).any()
for twice, original in zip(mirror(*once), (image, mask), strict=True):
    assert (twice == original).all()

# %%
# 4. The class has an intersection of 0 and a union of 10, so its IoU is 0. Without the ten pixels it is absent, and the
#    mean is taken over the other two classes. A few pixels of a class that an image does not have cost a third of its
#    mean: look at the image before you trust the ranking.
truth = np.zeros((1, 20, 20), np.uint8)
truth[0, :, 10:] = 1
prediction = truth.copy()
prediction[0, 0, :10] = 2
means = worst_images(np.concatenate([truth, truth]), np.concatenate([prediction, truth]), 3, 2)[1]
assert np.allclose(means, [(190 / 200 + 1 + 0) / 3, 1])
print("all solutions hold")
