"""Networks that say something, for the tests of the ONNX export."""

import numpy as np

from scratchnet.data import Preprocessing
from scratchnet.models import build

CLASSES = ("ground", "thing")
DATASET = Preprocessing("dataset", (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))


def photos(*size, n=2, seed=0):
    """Random images (n, h, w, 3)."""
    return np.random.default_rng([seed, *size]).integers(0, 256, (n, *size, 3), np.uint8)


def network(name, on, preprocessing=DATASET, classes=2, **options):
    """A model whose batch norms know images of the size ``on``, without biases and scores of 0."""
    net = build(name, classes, **options).allocate(3)
    rng = np.random.default_rng(1)
    for parameter in net.parameters().values():
        if parameter.kind != "weight" or not parameter.value.any():
            parameter.value[...] += 0.2 * rng.standard_normal(parameter.shape).astype(np.float32)
    for layer in net.batch_norms().values():
        layer.momentum = 1.0
    framed = (side + 2 * net.valid_margin for side in on)
    net.train().forward(preprocessing.apply(photos(*framed, n=4, seed=1)), keep=False)
    return net.eval()
