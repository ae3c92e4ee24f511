"""The ritual before every training: a model that cannot learn one image by heart is broken."""

import numpy as np
import pytest

from scratchnet.layers import Dropout
from scratchnet.losses import PixelLoss, probabilities
from scratchnet.models import MODELS, build
from tests.compare import numbers

# options, size, images, steps
PICTURES = {
    "bloodcell": ({"width": 0.25}, 32, 1, 30),
    "bloodcell, switches": ({"width": 0.25, "unpool": "switches"}, 32, 1, 40),
    "bloodcell, switches, batch norm": ({"width": 0.25, "unpool": "switches", "batch_norm": True}, 32, 2, 60),
    "deconvnet": ({"width": 1 / 16, "size": 32}, 32, 2, 60),
    "deconvnet-small": ({"width": 4, "size": 32}, 32, 2, 60),
    "segnet": ({"width": 1 / 8}, 31, 2, 20),
    "segnet-basic": ({"width": 1 / 8}, 31, 2, 20),
    "squares": ({"width": 8}, 24, 1, 20),
    "fcn32s": ({"width": 1 / 16, "padding": "same"}, 64, 1, 45),
    "fcn16s": ({"width": 1 / 16, "padding": "same", "upsampling": "paper"}, 64, 1, 40),
    "fcn8s": ({"width": 1 / 16, "padding": "same", "upsampling": "learned"}, 64, 1, 30),
    "fcn8s, padding 100, at once": ({"width": 1 / 32, "at_once": True}, 40, 1, 90),
    "unet": ({"width": 1 / 8, "depth": 2, "dropout": False}, 31, 1, 20),
    "unet-same": ({"width": 1 / 8, "depth": 3, "batch_norm": True}, 31, 1, 25),
    "dilated-fcn": ({"width": 1 / 16}, 31, 1, 60),
    "mobile-unet": ({"width": 1 / 8}, 31, 2, 60),
    "sliding-window": ({"width": 1 / 4}, 16, 1, 30),
}


def test_every_registered_model_learns():
    assert {key.partition(",")[0] for key in PICTURES} == set(MODELS)


@pytest.mark.parametrize("key", PICTURES)
def test_a_model_learns_a_picture_by_heart(key):
    options, size, n, steps = PICTURES[key]
    target = np.zeros((n, size, size), np.uint8)
    if key.startswith("fcn"):  # one score for 32 pixels: a square would be too fine
        target[:, :, : size // 2] = 1
    else:
        target[:, size // 4 : size * 3 // 4, size // 4 : size * 3 // 4] = 1
    x = 0.5 * numbers(n, size, size, 3, dtype=np.float32) + target[..., None] * np.array([1, -1, 0.5], np.float32)
    net, loss = build(key.partition(",")[0], 2, **options).allocate(0).train(), PixelLoss(2)
    for step in net.steps:
        if isinstance(step.layer, Dropout):
            step.layer.rate = 0.0  # a narrow net without half of its numbers says something else every time
    flat, border = net.flat(), net.valid_margin
    x = np.pad(x, [(0, 0), (border, border), (border, border), (0, 0)], mode="symmetric")
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
    assert (probabilities(net.forward(x)).argmax(axis=-1) == target).mean() > 0.95
