"""Batches without images: empty outputs, zero gradients, statistics that stay, in every way to run a network."""

import numpy as np
import pytest

from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.losses import PixelLoss
from tests.layer_cases import CASES, EVEN, C


def check(net, run):
    buffers = {(s.name, k): b.value.copy() for s in net.steps for k, b in s.layer.buffers.items()}
    x = np.zeros((0, *EVEN, C))
    with np.errstate(all="raise"):
        y = run.forward(x)
        dx = run.backward(np.zeros(y.shape), needs_input_grad=True)
    assert (y.shape[0], dx.shape, y.dtype, dx.dtype) == (0, x.shape, np.float64, np.float64)
    assert not net.flat().grads.any()
    for step in net.steps:
        for key, buffer in step.layer.buffers.items():
            np.testing.assert_array_equal(buffer.value, buffers[step.name, key])


@pytest.mark.parametrize("name", CASES)
def test_networks(name):
    for checkpointing in (False, True):
        net = CASES[name]().allocate(0, np.float64).train()
        net.activation_checkpointing = checkpointing
        check(net, net)


@pytest.mark.parametrize("name", CASES)
def test_replays(name):
    net = CASES[name]().allocate(0, np.float64).train()
    fast = CapturedNetwork(net)
    for _ in range(3):
        check(net, fast)


@pytest.mark.parametrize("loss", ["cross-entropy", "dice", "cross-entropy+dice"])
@pytest.mark.parametrize("channels", [1, 3])
def test_losses(loss, channels):
    function = PixelLoss(max(2, channels), loss, normalization="weights")
    value, dlogits = function(np.zeros((0, 4, 5, channels)), np.zeros((0, 4, 5), np.uint8))
    assert (value, dlogits.shape) == (0, (0, 4, 5, channels))


def test_lists_are_no_images():
    net = CASES["relu"]().allocate(0, np.float64)
    with pytest.raises(TypeError, match="network: expected an array, got a list"):
        net.forward([[1.0]])


def test_lists_and_halves_are_refused_by_the_loss():
    logits, target = np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2), int)
    for name, arguments in (
        ("target is a list", (logits, target.tolist())),
        ("logits is a list", (logits.tolist(), target)),
        ("logits are float16", (logits.astype(np.float16), target)),
        ("target is float64", (logits, target.astype(float))),
        ("target is bool, but there are 3 classes", (logits, target.astype(bool))),
    ):
        with pytest.raises(TypeError, match=name):
            PixelLoss(3)(*arguments)
