"""Selection and drawing of activation maps."""

import numpy as np
import pytest

from scratchnet.layers import Conv2d, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.network import Network
from scratchnet.visualization import activations_figure, strongest_maps


@pytest.fixture
def net():
    net = Network(channels=1)
    net.add("conv", Conv2d(1, 3, 1))
    net.add("relu", ReLU())
    net.add("pool", MaxPool2d(2))
    net.add("unpool", MaxUnpool2d(), "pool", "pool.switches")
    net.add("all", Conv2d(3, 2, 4))
    net.allocate(seed=0, dtype=np.float64).eval()
    named = net.parameters()
    named["conv.weight"].value[...] = np.array([1.0, -5.0, 2.0]).reshape(1, 1, 1, 3)
    named["conv.bias"].value[...] = [0.0, 0.0, 3.0]
    return net


@pytest.fixture
def image():
    return np.arange(16.0).reshape(1, 4, 4, 1)


def test_takes_the_map_that_varies_most_not_the_largest(net, image):
    chosen = strongest_maps(net, image, ["unpool", "relu", "conv"])
    assert [one.name for one in chosen] == ["unpool", "relu", "conv"]
    assert [one.channel for one in chosen[1:]] == [2, 1]  # −5 x varies most, until ReLU takes it away
    np.testing.assert_array_equal(chosen[2].map, -5 * image[0, :, :, 0])  # not what a later step made of it
    unpooled = np.zeros((4, 4))
    unpooled[1::2, 1::2] = 2 * image[0, 1::2, 1::2, 0] + 3
    np.testing.assert_array_equal(chosen[0].map, unpooled)


def test_a_map_of_one_pixel_is_chosen_by_its_value(net, image):
    (one,) = strongest_maps(net, image, ["all"])
    values = dict(net.walk(image))["all"]
    assert one.map.shape == (1, 1)
    assert abs(one.map[0, 0]) == abs(values).max()


def test_a_region_decides(image):
    net = Network(channels=2)
    net.add("conv", Conv2d(2, 2, 1))
    net.add("pool", MaxPool2d(2))
    net.allocate(dtype=np.float64).eval()
    net.parameters()["conv.weight"].value[...] = np.eye(2).reshape(1, 1, 2, 2)
    region = np.zeros((4, 4), bool)
    region[:2, 2:] = True
    both = np.concatenate([image, 0.1 * region[None, :, :, None]], axis=3)
    assert [one.channel for one in strongest_maps(net, both, ["conv", "pool"])] == [0, 0]
    assert [one.channel for one in strongest_maps(net, both, ["conv", "pool"], region)] == [1, 1]


def test_what_cannot_be_shown_is_said(net, image):
    with pytest.raises(ValueError, match="no step 'score'"):
        strongest_maps(net, image, ["score"])
    with pytest.raises(ValueError, match="some, not all"):
        strongest_maps(net, image, ["conv"], np.ones((4, 4), bool))
    with pytest.raises(ValueError, match="no activation"):
        activations_figure([])


def test_pictures_are_named_in_order(net, image):
    shown = strongest_maps(net, image, ["pool", "unpool"])
    figure = activations_figure(shown, np.zeros((4, 4, 3), np.uint8), columns=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["image\n4×4", "pool\n2×2, map 2", "unpool\n4×4, map 2", ""]
    np.testing.assert_array_equal(figure.axes[2].images[0].get_array(), shown[1].map)
    assert not figure.axes[3].axison
