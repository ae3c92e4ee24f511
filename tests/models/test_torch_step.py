"""Training steps of whole models, in PyTorch and here, from the same weights.

Two steps in float64, where a wrong running average or update would show in the second; one in float32, since the
rounding of the first can move a switch of the second.
"""

import numpy as np
import pytest

from benchmarks.harness.torch_network import TorchNetwork, parameter_values
from scratchnet.layers import Dropout
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from tests.compare import numbers
from tests.torch_layouts import maps, weights

torch = pytest.importorskip("torch")
F = torch.nn.functional
torch.set_num_threads(1)  # on maps this small, threads only wait for each other

CASES = {
    "bloodcell": ("bloodcell", {"width": 0.25}, 32, 2),
    "bloodcell, switches": ("bloodcell", {"width": 0.25, "unpool": "switches"}, 32, 2),
    "bloodcell, switches, batch norm": (
        "bloodcell",
        {"width": 0.25, "unpool": "switches", "batch_norm": True},
        32,
        2,
    ),
    "deconvnet-small": ("deconvnet-small", {"width": 4, "size": 32}, 32, 8),
    "squares": ("squares", {"width": 8}, 24, 2),
    # Sizes that do not divide: the last windows of the pools are incomplete, and what they shrank comes back cut.
    "deconvnet": ("deconvnet", {"width": 1 / 16, "size": 32}, 32, 8),
    "segnet": ("segnet", {"width": 1 / 8}, 45, 4),
    "segnet-basic": ("segnet-basic", {"width": 1 / 8}, 45, 2),
    "fcn32s": ("fcn32s", {"width": 1 / 32}, 21, 1),
    "fcn8s": ("fcn8s", {"width": 1 / 32, "padding": "same", "upsampling": "learned", "at_once": True}, 45, 2),
    "unet": ("unet", {"width": 1 / 8, "depth": 2, "dropout": False}, 21, 2),
    "unet-same": ("unet-same", {"width": 1 / 8, "depth": 3, "batch_norm": True, "dropout": False}, 21, 4),
    "dilated-fcn": ("dilated-fcn", {"width": 1 / 32}, 21, 2),
    "mobile-unet": ("mobile-unet", {"width": 1 / 8}, 45, 4),
    "sliding-window": ("sliding-window", {"width": 1 / 8}, 9, 2),
}
RATE = 0.05
DEEP = ("segnet", "mobile-unet", "deconvnet-small")
"""Rounding in float32 grows from batch norm to batch norm, and these have many: 1.3e-4 with AVX2's kernels."""


def torch_loss(scores, target):
    if scores.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(scores[:, 0], torch.tensor(target, dtype=scores.dtype))
    return F.cross_entropy(scores, torch.tensor(target, dtype=torch.int64))


def torch_step(torch_net, loss):
    """Go down the gradient of the loss."""
    loss.backward()
    with torch.no_grad():
        for parameter in torch_net.learned.values():
            parameter.sub_(RATE * parameter.grad)
            parameter.grad = None


@pytest.mark.parametrize("case", CASES)
def test_training_steps_agree(case, dtype):
    name, options, size, n = CASES[case]
    net = build(name, 2, **options).allocate(0, dtype).train()
    if name.startswith("fcn"):  # its scores start at 0 and would send nothing back
        net.flat().values += dtype.type(0.05) * numbers(net.parameter_count(), seed=5, dtype=dtype)
    for step in net.steps:
        if isinstance(step.layer, Dropout):
            step.layer.rate = 0  # the two would drop different numbers
    torch_net = TorchNetwork(net, parameter_values(net))
    target = (numbers(n, size, size, seed=9) > 0).astype(np.uint8)
    bound = 1e-9 if dtype == np.float64 else 1e-3 if case in DEEP else 1e-4
    for seed in range(1 if dtype == np.float32 else 2):
        x = numbers(n, *(2 * [size + 2 * net.valid_margin]), 3, seed=seed, dtype=dtype)
        scores = torch_net.forward(torch_net.batch(x))
        expected = torch_loss(scores, target)
        logits = net.forward(x)
        loss, dlogits = PixelLoss(2)(logits, target)
        wanted = maps(scores)
        np.testing.assert_allclose(logits, wanted, rtol=0, atol=bound * max(1, np.abs(wanted).max()))
        assert loss == pytest.approx(expected.item(), rel=bound)
        net.zero_grad()
        net.backward(dlogits)
        net.flat().values[...] -= dtype.type(RATE) * net.flat().grads
        torch_step(torch_net, expected)
    theirs = {
        key: weights(t) if t.ndim == 4 else t.detach().numpy()
        for key, t in (torch_net.learned | torch_net.state).items()
    }
    mine = parameter_values(net)
    assert set(mine) == set(theirs)
    for key, value in mine.items():
        np.testing.assert_allclose(value, theirs[key], rtol=0, atol=bound * max(1, np.abs(value).max()), err_msg=key)
