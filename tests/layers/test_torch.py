"""PyTorch as an independent judge of every layer: its output and all its gradients, in training and outside."""

import numpy as np
import pytest

from benchmarks.harness.torch_network import TORCH_LAYERS, TorchNetwork, parameter_values
from tests.compare import distinct, numbers
from tests.layer_cases import CASES, EVEN, ODD, TORCH, C, prepared
from tests.torch_layouts import maps, planes

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # on maps this small, threads only wait for each other

# Where windows overlap, PyTorch keeps the last of several values for a pixel; here they are summed.
JUDGED = [case for case in CASES if "unpool, overlapping" not in case]


@pytest.mark.parametrize("channels_last", [False, True], ids=["default layout", "channels last"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [EVEN, ODD])
@pytest.mark.parametrize("case", JUDGED)
def test_layers_agree(case, size, training, channels_last, dtype, monkeypatch):
    if case == "dropout":
        training = False
    net = prepared(CASES[case], dtype).train(training)
    torch_net = TorchNetwork(net, parameter_values(net), channels_last)
    monkeypatch.setattr("benchmarks.harness.torch_network.TORCH_LAYERS", TORCH_LAYERS | TORCH)
    torch_net.training = training
    x = distinct(2, *size, C, dtype=dtype)
    tx = torch_net.batch(x).requires_grad_()
    ty = torch_net.forward(tx)
    y = net.forward(x, keep=True)
    bound = 1e-4 if dtype == np.float32 else 1e-9

    def agree(actual, expected, what):
        assert actual.dtype == dtype
        limit = bound * max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=limit, err_msg=what)

    agree(y, maps(ty), "output")
    dy = numbers(*y.shape, seed=1, dtype=dtype)
    ty.backward(planes(dy, learn=False))
    net.zero_grad()
    agree(net.backward(dy, needs_input_grad=True), maps(tx.grad), "dx")
    for name, gradient in torch_net.gradients().items():
        agree(net.parameters()[name].grad, gradient, name)
    for name, buffer in net.state().items():
        agree(buffer.value, torch_net.state[name].numpy(), name)
