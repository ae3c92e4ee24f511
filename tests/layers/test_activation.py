import numpy as np
import pytest

from scratchnet.layers import Dropout, Scale
from scratchnet.network import Network
from tests.compare import numbers


def dropout_net(*names):
    net = Network(3)
    for name in names:
        net.add(name, Dropout(0.5))
    return net.allocate(0, np.float64)


def test_dropout_does_nothing_outside_training():
    x = numbers(2, 4, 4, 3)
    net = dropout_net("drop").eval()
    np.testing.assert_array_equal(net.forward(x, keep=True), x)
    np.testing.assert_array_equal(net.backward(x, needs_input_grad=True), x)


def test_dropout_sends_gradients_through_the_same_mask():
    net = dropout_net("drop").train()
    y = net.forward(np.ones((2, 5, 5, 3)))
    dx = net.backward(np.ones((2, 5, 5, 3)), needs_input_grad=True)
    np.testing.assert_array_equal(dx, y)
    assert set(np.unique(dx)) == {0, 2}


def test_a_seeded_network_repeats_its_masks():
    net, x = dropout_net("drop").train(), np.ones((1, 8, 8, 3))

    def draw(seed, *key):
        net.reseed(seed, *key)
        return net.forward(x)

    first = draw(1, "epoch", 3)
    assert not np.array_equal(net.forward(x), first)  # the stream goes on
    np.testing.assert_array_equal(draw(1, "epoch", 3), first)
    assert not np.array_equal(draw(1, "epoch", 4), first)
    assert not np.array_equal(draw(2, "epoch", 3), first)


def test_two_dropouts_draw_different_masks():
    net = dropout_net("a", "b").train()
    net.reseed(0)
    values = dict(net.walk(np.ones((1, 8, 8, 3)), keep=True))
    second = values["b"][values["a"] > 0] > 0
    assert second.any()
    assert not second.all()


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2])
def test_a_rate_outside_0_to_1_is_an_error(rate):
    with pytest.raises(ValueError, match=r"rate is .*; expected 0 ≤ rate < 1"):
        Dropout(rate)


def test_scale_multiplies_both_ways():
    layer = Scale(0.25)
    assert layer.forward(np.full((1, 1, 1, 2), 8.0)).tolist() == [[[[2, 2]]]]
    assert layer.backward(np.full((1, 1, 1, 2), 4.0)).tolist() == [[[[1, 1]]]]
    assert layer.describe() == "scale 0.25"
