"""Joined steps give the numbers of single ones, and nothing is joined whose value is wanted."""

import numpy as np
import pytest

from scratchnet.layers import (
    BatchNorm2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    MaxPool2d,
    ReLU,
)
from scratchnet.modes import textbook
from scratchnet.network import Network, joining
from tests.compare import assert_close, numbers


def chain(*layers, taken=(), training=True, dtype=np.float64):
    """Steps one after the other; the values ``taken`` are taken once more, at the end."""
    net = Network(3)
    for i, layer in enumerate(layers):
        net.add(f"s{i}", layer)
    if taken:
        net.add("join", Concatenate(), *taken, f"s{len(layers) - 1}")
    net.allocate(0, dtype)
    net.flat().values[...] += numbers(net.parameter_count(), dtype=dtype) * 0.1
    return net.train(training)


def step_of(net, x, dy):
    """Output, gradients and statistics of a training step."""
    net.zero_grad()
    y = net.forward(x, keep=True)
    kept = y.copy()
    dx = net.backward(dy.copy(), need_dx=True)
    np.testing.assert_array_equal(y, kept)  # the backward pass leaves the output alone
    return [kept, dx, net.flat().grads.copy(), *(b.value.copy() for b in net.state().values())]


def conv(c=3, c_out=4):
    return Conv2d(c, c_out, 3, padding=1)


JOINED = {
    "batch norm and ReLU": lambda: chain(conv(), BatchNorm2d(4), ReLU()),
    "frozen batch norm and ReLU": lambda: chain(conv(), BatchNorm2d(4), ReLU()).freeze_batch_norm(),
    "batch norm outside training": lambda: chain(conv(), BatchNorm2d(4), ReLU(), training=False),
    "convolution and ReLU": lambda: chain(conv(), ReLU(), conv(4)),
    "deconvolution and ReLU": lambda: chain(ConvTranspose2d(3, 4, 4, 2, 1), ReLU()),
    "cropped deconvolution": lambda: chain(ConvTranspose2d(3, 4, 3, 2, 1), ReLU()),
    "first step": lambda: chain(BatchNorm2d(3), ReLU(), conv()),
    "two in a row": lambda: chain(conv(), ReLU(), ReLU(), BatchNorm2d(4), ReLU(), ReLU()),
    "pool behind": lambda: chain(conv(), BatchNorm2d(4), ReLU(), MaxPool2d(2), conv(4), ReLU(), MaxPool2d(2)),
    "dropout behind": lambda: chain(conv(), ReLU(), Dropout(0.5), conv(4), BatchNorm2d(4), ReLU(), Dropout(0.5)),
    "taken behind the ReLU": lambda: chain(conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU(), taken=("s2", "s4")),
    "taken before the ReLU": lambda: chain(conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU(), taken=("s1", "s3")),
    "input behind the ReLU": lambda: chain(ReLU(), conv(), ReLU(), taken=("input",)),
}


@pytest.mark.parametrize("case", JOINED)
def test_joined_steps_give_the_numbers_of_single_ones(case):
    """The plain way, and the walk, join nothing."""
    net, plain = JOINED[case](), JOINED[case]()
    x = numbers(2, 6, 8, 3)
    given = x.copy()
    shape = net.shapes((6, 8), 2)[net.steps[-1].name]
    dy = numbers(*shape, seed=1)
    for seed in range(2):
        net.reseed(seed)
        plain.reseed(seed)
        with textbook():
            expected = step_of(plain, x, dy)
        for a, b in zip(step_of(net, x, dy), expected, strict=True):
            assert_close(a, b)
    np.testing.assert_array_equal(x, given)
    net.reseed(7)
    plain.reseed(7)
    assert_close(net.forward(x), [value for _, value in plain.walk(x)][-1])
    assert not any(getattr(step.layer, "joined", False) for step in net.steps)


def joined_during(net):
    """The names of the steps that know of being joined, and of those that are passed by."""
    with joining.joined(net.steps) as skipped:
        joined = [step.name for step in net.steps if getattr(step.layer, "joined", False)]
        return joined, [step.name for step in net.steps if step.layer in skipped]


def test_what_is_joined():
    assert joined_during(chain(conv(), BatchNorm2d(4), ReLU())) == (["s1"], ["s2"])
    assert joined_during(chain(conv(), ReLU())) == (["s1"], [])  # overwrites its input
    assert joined_during(chain(ConvTranspose2d(3, 4, 3), ReLU())) == (["s1"], [])
    assert joined_during(chain(ReLU(), conv())) == ([], [])  # the input is the caller's
    assert joined_during(chain(conv(), MaxPool2d(2), ReLU())) == ([], [])
    assert joined_during(chain(conv(), ReLU(), ReLU())) == (["s1"], [])
    with textbook():
        assert joined_during(chain(conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU())) == ([], [])


def test_a_value_that_another_step_takes_is_not_joined():
    layers = [conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU()]
    assert joined_during(chain(*layers, taken=("s1", "s3"))) == ([], [])
    layers = [conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU()]
    assert joined_during(chain(*layers, taken=("s2", "s4"))) == (["s1", "s4"], ["s2"])
    net = Network(3)
    net.add("conv", conv())
    net.add("relu", ReLU())
    net.add("crop", Crop(), "relu", "conv")  # takes the size only; the value must be there all the same
    assert joined_during(net) == ([], [])


def test_an_error_leaves_nothing_joined():
    net = chain(conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU())
    net.steps[3].layer.forward = None
    with pytest.raises(TypeError):
        net.forward(numbers(1, 4, 4, 3))
    assert not any(getattr(step.layer, "joined", False) for step in net.steps)


def test_a_walk_shows_what_is_before_a_relu():
    net = chain(conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU())
    seen = {name: value.copy() for name, value in net.walk(numbers(2, 6, 8, 3))}
    assert seen["s1"].min() < 0
    assert seen["s3"].min() < 0
    np.testing.assert_array_equal(seen["s2"], np.maximum(seen["s1"], 0))
    np.testing.assert_array_equal(seen["s4"], np.maximum(seen["s3"], 0))
