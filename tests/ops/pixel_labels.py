"""Labels of a small batch, with ignored pixels, for the tests of losses."""

import numpy as np

SHAPE = (2, 3, 4)
NORMALIZATIONS = ["pixels", "weights", "sum"]


def labels_with_ignored(classes, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, SHAPE).astype(np.uint8)
    target[0, 0, :2] = 255
    target[1, 2, 3] = 255
    return target
