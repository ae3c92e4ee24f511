"""A small U-Net of public layers has PyTorch's gradients: transposed convolutions go straight into Concatenate."""

import doctest
from pathlib import Path

import numpy as np
import pytest

from scratchnet.layers import Concatenate, Conv2d, ConvTranspose2d, MaxPool2d
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from tests.compare import numbers

torch = pytest.importorskip("torch")

CONVS = (("down1", 3, 1), ("down2", 3, 1), ("bottom", 5, 2), ("up2conv", 3, 1), ("out", 1, 0))


def unet():
    net = Network(3)
    net.add("down1", Conv2d(3, 5, 3, padding=1))
    net.add("pool1", MaxPool2d(2))
    net.add("down2", Conv2d(5, 6, 3, padding=1))
    net.add("pool2", MaxPool2d(2))
    net.add("bottom", Conv2d(6, 7, 5, padding=2))
    net.add("up2", ConvTranspose2d(7, 6, 2, stride=2))
    net.add("cat2", Concatenate(), "down2", "up2")
    net.add("up2conv", Conv2d(12, 4, 3, padding=1))
    net.add("up1", ConvTranspose2d(4, 3, 4, stride=2, padding=1))
    net.add("cat1", Concatenate(), "up1", "down1")
    net.add("out", Conv2d(8, 3, 1))
    return net.allocate(0, np.float64)


def torch_loss(p, x, labels):
    f = torch.nn.functional

    def conv(name, x, padding):
        return f.conv2d(x, p[f"{name}.weight"].permute(3, 2, 0, 1), p[f"{name}.bias"], padding=padding)

    def deconv(name, x, padding):
        weight = p[f"{name}.weight"].permute(3, 2, 0, 1)
        return f.conv_transpose2d(x, weight, p[f"{name}.bias"], stride=2, padding=padding)

    down1 = conv("down1", x.permute(0, 3, 1, 2), 1)
    down2 = conv("down2", f.max_pool2d(down1, 2), 1)
    bottom = conv("bottom", f.max_pool2d(down2, 2), 2)
    up2 = conv("up2conv", torch.cat([down2, deconv("up2", bottom, 0)], 1), 1)
    return f.cross_entropy(conv("out", torch.cat([deconv("up1", up2, 1), down1], 1), 0), labels)


def test_gradients_are_pytorchs():
    net, x, labels = unet().train(), numbers(2, 12, 16, 3), np.arange(384).reshape(2, 12, 16) % 3
    loss, dlogits = PixelLoss(3)(net.forward(x), labels)
    dx = net.backward(dlogits, needs_input_grad=True)

    arrays = {f"{s.name}.{k}": p for s in net.steps for k, p in s.layer.parameters.items()}
    theirs = {name: torch.tensor(p.value, requires_grad=True) for name, p in arrays.items()}
    image = torch.tensor(x, requires_grad=True)
    expected = torch_loss(theirs, image, torch.tensor(labels))
    expected.backward()
    assert loss == pytest.approx(expected.item(), abs=1e-12)
    for name, parameter in arrays.items():
        np.testing.assert_allclose(parameter.grad, theirs[name].grad.numpy(), rtol=0, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(dx, image.grad.numpy(), rtol=0, atol=1e-9)


def test_the_guides_unet_has_pytorchs_gradients():
    """The network is built by the lines of the guide."""
    text = (Path(__file__).parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
    names = {}
    for example in doctest.DocTestParser().get_examples(text):
        if example.source.startswith("from scratchnet.layers") or (
            "unet" in example.source and "forward" not in example.source
        ):
            exec(example.source, names | {"Network": Network}, names)
    net, x, labels = names["unet"].allocate(0, np.float64).train(), numbers(2, 12, 16, 3), np.arange(384) % 2
    loss, dlogits = PixelLoss(2)(net.forward(x), labels.reshape(2, 12, 16))
    dx = net.backward(dlogits, needs_input_grad=True)

    f = torch.nn.functional
    p = {name: torch.tensor(parameter.value, requires_grad=True) for name, parameter in net.parameters().items()}
    image = torch.tensor(x, requires_grad=True)

    def conv(name, x, padding):
        return f.conv2d(x, p[f"{name}.weight"].permute(3, 2, 0, 1), p[f"{name}.bias"], padding=padding)

    down = conv("down", image.permute(0, 3, 1, 2), 1)
    bottom = conv("bottom", f.max_pool2d(down, 2), 1)
    up = f.conv_transpose2d(bottom, p["up.weight"].permute(3, 2, 0, 1), p["up.bias"], stride=2)
    score = conv("score", torch.cat([down, up], 1), 0)
    expected = f.cross_entropy(score, torch.tensor(labels.reshape(2, 12, 16)))
    expected.backward()
    assert loss == pytest.approx(expected.item(), abs=1e-12)
    np.testing.assert_allclose(dx, image.grad.numpy(), rtol=1e-9, atol=1e-12)
    for name, parameter in net.parameters().items():
        np.testing.assert_allclose(parameter.grad, p[name].grad.numpy(), rtol=1e-9, atol=1e-12)
