"""PyTorch computes the same values and gradients as the network, in float64.

tests/layers/test_torch.py goes through every layer, tests/models/test_torch_step.py through every model.
"""

import numpy as np
import pytest

from benchmarks.harness.agreement import compare_steps
from benchmarks.harness.implementations import Batch, ScratchnetStep, TorchStep
from benchmarks.harness.network_cases import NetworkCase
from benchmarks.harness.torch_network import TorchNetwork, parameter_values
from scratchnet import layers
from scratchnet.network import Network
from tests.compare import numbers

torch = pytest.importorskip("torch")

SIDE = 8


def plain(*more):
    """A convolution, some layers, and a score."""
    net = Network(3)
    net.add("conv", layers.Conv2d(3, 4, 3, padding=1))
    for i, layer in enumerate(more):
        net.add(f"step{i}", layer)
    return net


def pooled(pool):
    """A pooling and the unpooling that uses its switches."""
    net = plain(layers.ReLU())
    net.add("pool", pool)
    net.add("unpool", layers.MaxUnpool2d(), "pool", "pool.switches")
    return net


def forked():
    """Two branches that share the input of a ReLU."""
    net = plain(layers.ReLU())
    net.add("left", layers.Conv2d(4, 4, 3), "conv")
    net.add("right", layers.Conv2d(4, 4, 3), "step0")
    net.add("joint", layers.Add(), "left", "right")
    return net


NETWORKS = {
    "ReLU behind batch norm": lambda: plain(layers.BatchNorm2d(4, eps=1e-2), layers.ReLU()),
    "a ReLU whose input is used again": forked,
    "dropout": lambda: plain(layers.Dropout(0.5)),
    "pool": lambda: plain(layers.MaxPool2d(2)),
    "pool and unpool": lambda: pooled(layers.MaxPool2d(2)),
}


def both_sides(make, channels_last=False, change=lambda torch_net: None):
    """Return a step of each library in float64 with the same weights."""
    net = make().allocate(0, np.float64).train()
    for parameter in net.parameters().values():
        if parameter.kind != "weight":
            parameter.value[...] += numbers(*parameter.shape, seed=3)  # zeros and ones hide mistakes
    x = numbers(2, SIDE, SIDE, 3)
    n, h, w, c = net.shapes((SIDE, SIDE), 2)[net.steps[-1].name]
    batch = Batch(x, (numbers(n, h, w, seed=1) > 0).astype(np.uint8))
    torch_net = TorchNetwork(make(), parameter_values(net), channels_last)
    change(torch_net)
    return ScratchnetStep(net, batch, c, "sgd"), TorchStep(torch_net, batch, "sgd")


@pytest.mark.parametrize("channels_last", [False, True], ids=["default layout", "channels last"])
@pytest.mark.parametrize("name", NETWORKS)
def test_same_output_loss_and_gradients(name, channels_last):
    assert compare_steps(*both_sides(NETWORKS[name], channels_last)).largest < 1e-12


def test_a_layer_without_a_rule_is_named():
    class Strange(layers.ReLU):
        """A layer without an entry in the table."""

    _, theirs = both_sides(lambda: plain(Strange()))
    with pytest.raises(ValueError, match="step 'step0': no PyTorch form of Strange is known"):
        theirs()


@pytest.mark.parametrize("wrong", ["weight", "bias", "eps"])
def test_a_wrong_twin_is_far_off(wrong):
    def change(torch_net):
        if wrong == "eps":
            torch_net.steps[1].layer.eps = 0.5
        else:
            torch_net.learned[f"conv.{wrong}"].data.flatten()[0] += 1.0

    make = NETWORKS["ReLU behind batch norm" if wrong == "eps" else "pool and unpool"]
    assert compare_steps(*both_sides(make, change=change)).largest > 1e-2


def test_dropout_keeps_its_rate_after_the_comparison():
    ours, theirs = both_sides(NETWORKS["dropout"])
    compare_steps(ours, theirs)
    assert ours.network.steps[1].layer.rate == theirs.network.steps[1].layer.rate == 0.5


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("model", ["bloodcell", "deconvnet-small", "squares"])
def test_steps_lead_to_the_same_weights(model, optimizer):
    options = {"bloodcell": {"width": 0.1, "batch_norm": True}, "squares": {"width": 4}}
    small = options.get(model, {"width": 4, "size": 32})
    side = small.get("size", 32)
    case = NetworkCase(model, (side, side), 2, options=small)
    net = case.network().allocate(0, np.float64)
    torch_net = TorchNetwork(case.network(), parameter_values(net))
    batch = Batch(numbers(2, side, side, 3), (numbers(2, side, side, seed=1) > 0).astype(np.uint8))
    ours, theirs = ScratchnetStep(net, batch, 2, optimizer), TorchStep(torch_net, batch, optimizer)
    for _ in range(2):
        ours()
        theirs()
    for name, parameter in net.parameters().items():
        value = torch_net.learned[name].detach()
        value = value.permute(2, 3, 1, 0).numpy() if value.ndim == 4 else value.numpy()
        np.testing.assert_allclose(parameter.value, value, rtol=0, atol=1e-9, err_msg=name)
