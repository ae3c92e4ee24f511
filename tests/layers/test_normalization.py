import numpy as np
import pytest

from scratchnet.layers import BatchNorm2d
from scratchnet.network import Network
from tests import naive
from tests.compare import assert_close, numbers

X = (2, 3, 4, 2)


def batch_norm(**settings):
    """A batch norm layer whose running statistics are those of no batch, and its network."""
    layer = BatchNorm2d(2, **settings)
    net = Network(2)
    net.add("bn", layer)
    net.allocate(0, np.float64)
    layer.buffers["running_mean"].value[...] = [1, -2]
    layer.buffers["running_var"].value[...] = [4, 9]
    layer.parameters["scale"].value[...] = [2, 3]
    layer.parameters["shift"].value[...] = [10, 20]
    return layer, net


def running(layer):
    return [layer.buffers[k].value.tolist() for k in ("running_mean", "running_var")]


def with_running(x):
    return [2, 3] * (x - [1, -2]) / np.sqrt(np.array([4, 9]) + 1e-5) + [10, 20]


def with_batch(x):
    return naive.batch_norm(x, [2, 3], [10, 20])


MODES = {
    "training": (True, False, "running", with_batch, True),
    "training, frozen": (True, True, "running", with_running, False),
    "test": (False, False, "running", with_running, False),
    "test, frozen": (False, True, "running", with_running, False),
    "test by batch": (False, False, "batch", with_batch, False),
}


@pytest.mark.parametrize("mode", MODES)
def test_modes_use_the_right_statistics_and_move_the_averages_only_in_training(mode):
    training, frozen, statistics, expected, moves = MODES[mode]
    layer, net = batch_norm()
    net.train(training).use_statistics(statistics).freeze_batch_norm(frozen)
    x = numbers(*X)
    assert_close(net.forward(x), expected(x))
    assert (running(layer) != [[1, -2], [4, 9]]) == moves


@pytest.mark.parametrize("mode", MODES)
def test_the_gradient_follows_the_statistics_of_the_forward_pass(mode):
    training, frozen, statistics, expected, _ = MODES[mode]
    layer, net = batch_norm()
    net.train(training).use_statistics(statistics).freeze_batch_norm(frozen)
    x, dy = numbers(*X), numbers(*X, seed=1)
    net.forward(x, keep=True)
    net.train(not training)  # a change of mind in between must not matter
    dx = layer.backward(dy)
    if expected is with_batch:
        wanted = naive.batch_norm_backward(dy, x, [2, 3])[0]
    else:
        wanted = dy * [2, 3] / np.sqrt(np.array([4, 9]) + 1e-5)
    assert_close(dx, wanted)


def test_running_averages_move_by_the_momentum_towards_the_unbiased_variance():
    layer, net = batch_norm(momentum=0.25)
    x = numbers(*X)
    net.train().forward(x)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(layer.buffers["running_mean"].value, 0.75 * np.array([1, -2]) + 0.25 * mean)
    np.testing.assert_allclose(layer.buffers["running_var"].value, 0.75 * np.array([4, 9]) + 0.25 * variance)


def test_the_statistics_of_the_last_pass_can_be_read():
    layer, net = batch_norm()
    x = numbers(*X)
    net.train().forward(x)
    mean, variance, _ = layer.last
    assert_close(mean, x.mean((0, 1, 2)))
    assert_close(variance, x.var((0, 1, 2)))


def test_parameters_start_where_the_paper_wants_them():
    net = Network(3)
    net.add("bn", BatchNorm2d(3, scale=1.0, shift=0.001))
    values = net.allocate().parameters()
    assert values["bn.scale"].value.tolist() == [1, 1, 1]
    np.testing.assert_allclose(values["bn.shift"].value, 0.001)


def test_eps_is_added_to_the_variance():
    _, net = batch_norm(eps=12.0)
    y = net.train().forward(np.array([[1.0, 1], [5, 5]]).reshape(1, 1, 2, 2))  # variance 4, so the denominator is 4
    assert y.ravel().tolist() == [9, 18.5, 11, 21.5]


@pytest.mark.parametrize(("training", "statistics"), [(True, "running"), (False, "batch")])
def test_one_pixel_in_a_batch_of_one_is_an_error(training, statistics):
    _, net = batch_norm()
    net.train(training).use_statistics(statistics)
    with pytest.raises(ValueError, match="one pixel in a batch of one has no variance; use a larger batch"):
        net.forward(np.zeros((1, 1, 1, 2)))
    net.forward(np.zeros((2, 1, 1, 2)))
    net.eval().use_statistics("running").forward(np.zeros((1, 1, 1, 2)))


def test_wrong_channels_are_named():
    with pytest.raises(ValueError, match="batch norm: the input has 3 channels, expected 2"):
        BatchNorm2d(2).output_shape((1, 4, 4, 3))
