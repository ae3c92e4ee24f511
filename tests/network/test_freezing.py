"""Frozen parameters: no gradient, no update, no decay, no work, in every way in which a network runs."""

import numpy as np
import pytest

from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.modes import textbook
from scratchnet.gradcheck import check_gradients
from scratchnet.gradcheck.problems import from_network
from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.training import SGD, Adam
from scratchnet.training.accumulation import MicroBatch, gradient
from scratchnet.training.distributed.process_group import SingleProcess
from scratchnet.training.distributed.sharing import share_batches
from tests.compare import numbers
from tests.ranks import together

OPTIMIZERS = {"sgd": lambda: SGD(0.9, 0.1, 2.0), "adam": lambda: Adam(0.1, 2.0)}
PATTERNS = [("conv1",), ("conv1", "bn1"), ("*.bias",), ("*.weight",), ("deconv1", "score.weight"), ("bn1", "score")]


def hourglass():
    net = Network(3, stride=2)
    net.add("conv1", Conv2d(3, 4, 3, padding=1))
    net.add("bn1", BatchNorm2d(4))
    net.add("relu1", ReLU())
    net.add("pool1", MaxPool2d(2))
    net.add("deconv1", ConvTranspose2d(4, 4, 3, padding=1))
    net.add("unpool1", MaxUnpool2d(), "deconv1", "pool1.switches")
    net.add("score", Conv2d(4, 2, 3, padding=1))
    return net


def batch(number, n=2):
    x = numbers(n, 8, 8, 3, seed=number, dtype=np.float32)
    return x, (x.sum(axis=3) > 0).astype(np.uint8)


def train(net, optimizer, steps=4, passes=None):
    net.train()
    passes = passes or net
    for number in range(steps):
        x, truth = batch(number)
        _, dlogits = PixelLoss(2)(passes.forward(x), truth)
        passes.backward(dlogits, add=False)
        optimizer.step(net.flat(), 0.05)


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "frozen"),
    [
        ("conv1", ["conv1.weight", "conv1.bias"]),
        ("*conv1", ["conv1.weight", "deconv1.weight", "conv1.bias", "deconv1.bias"]),
        ("s?ore.b*", ["score.bias"]),
        ("bn[12]", ["bn1.scale", "bn1.shift"]),
    ],
)
def test_patterns_name_steps_or_parameters(pattern, frozen):
    net = hourglass().freeze(pattern)
    assert net.frozen() == frozen
    assert net.allocate().frozen() == frozen
    assert net.unfreeze(frozen[0]).frozen() == frozen[1:]
    assert net.unfreeze().frozen() == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("cnv1", "no parameter matches 'cnv1'; close names: conv1"),
        ("pool1", "no parameter matches 'pool1'"),
        ("zzz*", "steps with parameters: conv1, deconv1, score, bn1"),
    ],
)
def test_a_pattern_without_a_match_is_refused_with_close_names(pattern, text):
    net = hourglass()
    with pytest.raises(ValueError, match="no parameter matches") as error:
        net.freeze("conv1", pattern)
    assert text in str(error.value)
    assert net.frozen() == []
    with pytest.raises(ValueError, match="at least one name"):
        net.freeze()


# Training -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("patterns", PATTERNS, ids="+".join)
@pytest.mark.parametrize("way", ["plain", "replay", "checkpointing", "textbook"])
def test_frozen_parameters_stay_and_the_others_get_the_same_gradients(optimizer, patterns, way):
    free, net = hourglass().allocate(1).train(), hourglass().allocate(1).train().freeze(*patterns)
    net.activation_checkpointing = way == "checkpointing"
    passes = CapturedNetwork(net) if way == "replay" else net
    x, truth = batch(0)
    for one, run in ((free, free), (net, passes)):
        for _ in range(3 if one is net else 1):  # the third is a replay
            with textbook(way == "textbook"):
                one.reseed(0)
                _, dlogits = PixelLoss(2)(run.forward(x), truth)
                run.backward(dlogits, add=False)
    frozen = set(net.frozen())
    for name, parameter in net.parameters().items():
        if name in frozen:
            assert not parameter.grad.any()
        else:
            np.testing.assert_allclose(parameter.grad, free.parameters()[name].grad, rtol=1e-4, atol=1e-6)
    before = {name: p.value.copy() for name, p in net.parameters().items()}
    update = OPTIMIZERS[optimizer]()
    train(net, update, passes=passes)
    for name, parameter in net.parameters().items():
        assert np.array_equal(parameter.value, before[name]) == (name in frozen or name == "conv1.bias"), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizers_memory_of_frozen_parameters_stays(optimizer):
    net, update = hourglass().allocate(), OPTIMIZERS[optimizer]()
    train(net, update)
    kept = {name: array.copy() for name, array in update.arrays.items()}
    net.freeze("*.weight")
    train(net, update)
    learned = np.zeros(net.parameter_count(), bool)
    for part, _ in net.flat().learned:
        learned[part] = True
    for name, array in update.arrays.items():
        np.testing.assert_array_equal(array[~learned], kept[name][~learned])
        assert not np.array_equal(array[learned], kept[name][learned])


def test_a_replay_notices_freezing_and_unfreezing():
    net, other = hourglass().allocate(), hourglass().allocate()
    passes, update, expected = CapturedNetwork(net), SGD(), SGD()
    for patterns in ((), ("score", "bn1"), (), ("conv1",)):
        for one in (net, other):
            one.unfreeze()
            if patterns:
                one.freeze(*patterns)
        train(net, update, passes=passes)
        train(other, expected)
    np.testing.assert_array_equal(net.flat().values, other.flat().values)


def test_gradients_below_the_lowest_learning_step_are_not_computed(monkeypatch):
    net = hourglass().allocate().train().freeze("conv1", "bn1", "deconv1.weight")
    called, wanted = [], {}
    for step in net.steps:

        def backward(dy, layer=step.layer, name=step.name, original=step.layer.backward):
            called.append(name)
            wanted[name] = layer.needs_input_grad
            return original(dy)

        monkeypatch.setattr(step.layer, "backward", backward)
    x, truth = batch(0)
    _, dlogits = PixelLoss(2)(net.forward(x), truth)
    net.backward(dlogits)
    assert called == ["score", "unpool1", "deconv1"]
    assert wanted["deconv1"] is False
    net.forward(x)
    assert net.backward(dlogits, needs_input_grad=True).shape == x.shape


@pytest.mark.parametrize("layer", ["Conv2d", "ConvTranspose2d"])
def test_no_weight_gradient_is_computed_for_a_frozen_weight(monkeypatch, layer):
    from scratchnet.layers import convolution

    net = hourglass().allocate().train().freeze("conv1.weight", "score.weight", "deconv1.weight")

    def refuse(*_, **__):
        raise AssertionError("a weight gradient was computed")

    monkeypatch.setattr(convolution, "conv2d_backward", refuse)
    monkeypatch.setattr(convolution, "conv_transpose2d_backward", refuse)
    x, truth = batch(0)
    _, dlogits = PixelLoss(2)(net.forward(x), truth)
    net.backward(dlogits)
    assert net.parameters()["bn1.scale"].grad.any()


def test_what_was_left_of_a_gradient_is_gone_after_unfreezing():
    net = hourglass().allocate().train()
    x, truth = batch(0)
    _, dlogits = PixelLoss(2)(net.forward(x), truth)
    net.backward(dlogits)
    net.freeze("score")
    assert not net.parameters()["score.weight"].grad.any()
    net.forward(x)
    net.backward(dlogits)
    assert not net.unfreeze().parameters()["score.weight"].grad.any()


def test_gradients_are_right_beside_frozen_parameters():
    x = numbers(2, 8, 8, 3, seed=3, dtype=np.float64)
    report = check_gradients("frozen", from_network(hourglass().freeze("conv1", "deconv1.weight", "bn1.shift"), x))
    assert report.worst.error < 1e-6


# Batch norm -----------------------------------------------------------------------------------------------------------


def test_statistics_move_on_unless_they_are_frozen_too():
    net = hourglass().allocate()
    start = {name: b.value.copy() for name, b in net.state().items()}
    train(net.freeze("bn1"), SGD(), 1)
    assert not np.array_equal(net.state()["bn1.running_mean"].value, start["bn1.running_mean"])
    moved = {name: b.value.copy() for name, b in net.state().items()}
    train(net.freeze("bn1", statistics=True), SGD(), 1)
    np.testing.assert_array_equal(net.state()["bn1.running_mean"].value, moved["bn1.running_mean"])
    net.unfreeze("bn1.scale")
    assert not net.batch_norms()["bn1"].frozen
    assert not hourglass().freeze("bn1.scale", statistics=True).batch_norms()["bn1"].frozen  # β still learns


# Several processes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("patterns", [("conv1", "bn1"), ("bn1",), ("score", "*.bias")], ids="+".join)
@pytest.mark.parametrize("images", [2, 1])
def test_ranks_agree_on_what_learns(cores, patterns, images):
    """Also where one of them has no image of a batch."""
    cores(1)

    def trained(ranks):
        net, update = hourglass().allocate(0, np.float64).train().freeze(*patterns), SGD()
        share_batches(net, ranks)
        for number in range(2):
            x, truth = batch(number, images)
            own = slice(None) if ranks.size == 1 else slice(ranks.rank, min(ranks.rank + 1, images))
            part = MicroBatch(number + 1, x[own].astype(np.float64), truth[own], None, ranks.rank)
            gradient(CapturedNetwork(net), PixelLoss(2), [part], 0, 0, ranks)
            update.step(net.flat(), 0.1)
        return net.flat().values.copy()

    expected = trained(SingleProcess())
    for values in together(2, trained):
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
