"""The ritual before every training: a model that cannot learn one image by heart is broken."""

import numpy as np
import pytest

from scratchnet.losses import PixelLoss, predict
from scratchnet.models import MODELS, build
from tests.compare import numbers

# options, size, images, steps
PICTURES = {
    "bloodcell": ({"width": 0.25}, 32, 1, 30),
    "bloodcell, switches": ({"width": 0.25, "unpool": "switches"}, 32, 1, 40),
    "bloodcell, switches, batch norm": ({"width": 0.25, "unpool": "switches", "batch_norm": True}, 32, 2, 60),
    "deconvnet-small": ({"width": 4, "size": 32}, 32, 2, 60),
    "squares": ({"width": 8}, 24, 1, 20),
}


def test_every_registered_model_learns():
    assert {key.partition(",")[0] for key in PICTURES} == set(MODELS)


@pytest.mark.parametrize("key", PICTURES)
def test_a_model_learns_a_picture_by_heart(key):
    options, size, n, steps = PICTURES[key]
    target = np.zeros((n, size, size), np.uint8)
    target[:, size // 4 : size * 3 // 4, size // 4 : size * 3 // 4] = 1
    x = 0.5 * numbers(n, size, size, 3, dtype=np.float32) + target[..., None] * np.array([1, -1, 0.5], np.float32)
    net, loss = build(key.partition(",")[0], 2, **options).allocate(0).train(), PixelLoss(2)
    flat = net.flat()
    mean, square, losses = np.zeros_like(flat.values), np.zeros_like(flat.values), []
    for step in range(1, steps + 1):
        value, dlogits = loss(net.forward(x), target)
        losses.append(value)
        net.zero_grad()
        net.backward(dlogits)
        mean += 0.1 * (flat.grads - mean)  # Adam, written out: plain descent needs a rate of its own for each model
        square += 0.01 * (flat.grads**2 - square)
        flat.values -= 0.01 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    assert losses[-1] < 0.3 * losses[0], losses[:: steps // 10]
    assert (predict(net.forward(x)) == target).mean() > 0.95
