"""Theoretical and effective receptive fields."""

import numpy as np
import pytest

from scratchnet.layers import Conv2d, MaxPool2d
from scratchnet.models import deconvnet_small
from scratchnet.network import Network
from scratchnet.visualization import effective_field, field_figure, nearest_pixel
from scratchnet.visualization.graph.receptive_field import receptive_fields

rng = np.random.default_rng(11)


def two_convolutions():
    net = Network(channels=1)
    net.add("conv1", Conv2d(1, 1, 3, padding=1))
    net.add("conv2", Conv2d(1, 1, 3, padding=1))
    net.add("pool", MaxPool2d(2))
    net.allocate(dtype=np.float64).eval()
    for name in ("conv1", "conv2"):
        net.parameters()[f"{name}.weight"].value[...] = 1
    return net


def test_two_boxes_make_a_tent():
    net = two_convolutions()
    field = effective_field(net, rng.standard_normal((1, 8, 8, 1)), "conv2", (3, 4))
    tent = np.array([1, 2, 3, 2, 1])
    wanted = np.zeros((8, 8))
    wanted[1:6, 2:7] = np.outer(tent, tent) / 9
    np.testing.assert_allclose(field, wanted, atol=1e-12)


def test_lies_in_the_rectangle_and_leaves_the_network_alone():
    net = deconvnet_small(size=32, width=4).allocate(seed=1).eval()
    net.flat().grads[...] = 7
    images = rng.standard_normal((2, 32, 32, 3)).astype(np.float32)
    output = net.forward(images).copy()
    for name, pixel in (("pool2", (2, 5)), ("conv3_1_relu", (0, 7)), ("deconv2_1", (9, 9))):
        field = effective_field(net, images, name, pixel)
        top, left, bottom, right = receptive_fields(net, (32, 32), name, pixel)["input"]
        inside = np.zeros((32, 32), bool)
        inside[top:bottom, left:right] = True
        assert field.max() == 1
        assert (field[~inside] == 0).all()
        assert (field[inside] > 0).mean() > 0.5
    assert (net.flat().grads == 7).all()
    np.testing.assert_array_equal(net.forward(images), output)


def test_the_pixel_over_a_place():
    net = deconvnet_small(size=32, width=4)
    assert nearest_pixel(net, (32, 32), "conv1_1", (5, 31)) == (5, 31)
    assert nearest_pixel(net, (32, 32), "pool2", (5, 31)) == (1, 7)  # 4·1 … 4·1 + 3 holds 5
    assert nearest_pixel(net, (32, 32), "fc6", (5, 31)) == (0, 0)


def test_the_figure_says_how_much_is_seen():
    net = two_convolutions()
    image = rng.integers(0, 255, (8, 8, 3), np.uint8)
    figure = field_figure(net, image, rng.standard_normal((1, 8, 8, 1)), ["conv1", "pool"], (4, 4))
    assert [axes.get_title() for axes in figure.axes] == ["image", "conv1\nsees 3×3", "pool\nsees 6×6"]
    whole, one, _ = figure.axes
    assert [patch.get_width() for patch in whole.patches] == [3, 3, 6, 6]  # a rim and a line each
    np.testing.assert_array_equal(one.images[0].get_array() > 0, np.pad(np.ones((3, 3), bool), ((3, 2), (3, 2))))


def test_what_is_not_there():
    net = two_convolutions()
    with pytest.raises(ValueError, match="no step 'fc6'"):
        effective_field(net, np.zeros((1, 8, 8, 1)), "fc6", (0, 0))
    with pytest.raises(ValueError, match="'pool' has 4×4 pixels"):
        effective_field(net, np.zeros((1, 8, 8, 1)), "pool", (4, 0))
