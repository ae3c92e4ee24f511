import numpy as np
import pytest

from scratchnet.layers import Conv2d, ConvTranspose2d
from scratchnet.network import Network
from tests import naive
from tests.compare import assert_close, numbers


def one(layer, channels):
    net = Network(channels)
    net.add("layer", layer)
    return net.allocate(0, np.float64).train()


def test_conv2d_passes_all_its_settings_on():
    settings = {"stride": (1, 2), "padding": (2, 1), "dilation": (2, 1), "groups": 2}
    layer = Conv2d(4, 6, (3, 2), **settings)
    net = one(layer, 4)
    layer.parameters["bias"].value[...] = numbers(6, seed=4)
    x = numbers(2, 7, 8, 4)
    weight, bias = (layer.parameters[k].value for k in ("weight", "bias"))
    assert weight.shape == (3, 2, 2, 6)
    y = net.forward(x)
    assert_close(y, naive.conv2d(x, weight, bias, **settings))
    dy = numbers(*y.shape, seed=1)
    dx = net.backward(dy, needs_input_grad=True)
    expected = naive.conv2d_backward(dy, x, weight, **settings)
    for actual, wanted in zip(
        (dx, layer.parameters["weight"].grad, layer.parameters["bias"].grad), expected, strict=True
    ):
        assert_close(actual, wanted)


def test_conv_transpose2d_passes_all_its_settings_on():
    settings = {"stride": (3, 2), "padding": (1, 2), "dilation": (1, 2), "groups": 2}
    layer = ConvTranspose2d(4, 6, (3, 4), output_padding=(2, 1), **settings)
    net = one(layer, 4)
    layer.parameters["bias"].value[...] = numbers(6, seed=4)
    x = numbers(2, 4, 3, 4)
    weight, bias = (layer.parameters[k].value for k in ("weight", "bias"))
    assert weight.shape == (3, 4, 3, 4)
    y = net.forward(x)
    assert_close(y, naive.conv_transpose2d(x, weight, bias, output_padding=(2, 1), **settings))
    dy = numbers(*y.shape, seed=1)
    dx = net.backward(dy, needs_input_grad=True)
    expected = naive.conv_transpose2d_backward(dy, x, weight, **settings)
    for actual, wanted in zip(
        (dx, layer.parameters["weight"].grad, layer.parameters["bias"].grad), expected, strict=True
    ):
        assert_close(actual, wanted)


@pytest.mark.parametrize("make", [Conv2d, ConvTranspose2d])
def test_needs_input_grad_false_returns_none(make):
    layer = make(2, 3, 3, padding=1)
    net = one(layer, 2)
    y = net.forward(numbers(1, 5, 5, 2))
    layer.needs_input_grad = False
    assert layer.backward(np.ones_like(y)) is None
    assert layer.parameters["weight"].grad.any()


@pytest.mark.parametrize(
    ("layer", "shape", "products"),
    [
        (Conv2d(3, 8, 3, padding=1), (2, 4, 5, 3), 2 * 4 * 5 * 8 * 9 * 3),
        (Conv2d(4, 8, 3, stride=2, padding=1, groups=2), (1, 4, 6, 4), 2 * 3 * 8 * 9 * 2),
        (ConvTranspose2d(4, 6, 4, stride=2, padding=1), (2, 3, 5, 4), 2 * 3 * 5 * 4 * 16 * 6),
    ],
)
def test_products_are_counted(layer, shape, products):
    assert layer.multiply_adds(shape) == products


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Conv2d(3, 8, 3), "conv 3×3, 8"),
        (Conv2d(4, 8, (1, 3), stride=2, dilation=3, groups=2), "conv 1×3, 8, stride 2, dilation 3, groups 2"),
        (ConvTranspose2d(4, 6, 4, stride=(2, 1)), "deconv 4×4, 6, stride 2×1"),
    ],
)
def test_layers_describe_themselves(layer, text):
    assert layer.describe() == text


@pytest.mark.parametrize("make", [Conv2d, ConvTranspose2d])
def test_errors(make):
    with pytest.raises(ValueError, match="2 groups do not divide 3 → 4 channels"):
        make(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="the input has 5 channels, expected 3"):
        make(3, 4, 3).output_shape((1, 8, 8, 5))
    with pytest.raises(ValueError, match="kernel_size is 0; expected"):
        make(3, 4, 0)
