"""What was changed in place between forward and backward is an error, and nothing else is."""

import numpy as np
import pytest

from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.layers import BatchNorm2d, Conv2d, LocalResponseNorm, MaxPool2d, ReLU, Scale
from scratchnet.network import Network
from tests.compare import numbers


def chain(*layers, dtype=np.float32):
    net = Network(3)
    for i, layer in enumerate(layers):
        net.add(f"s{i}", layer)
    return net.allocate(0, dtype).train()


def image(dtype=np.float32):
    return numbers(2, 8, 8, 3, dtype=dtype)


CHANGES = {
    "scaled": lambda a: np.multiply(a, 2, out=a),
    "zeroed": lambda a: a.fill(0),
    "nan": lambda a: a.fill(np.nan),
    "normalised": lambda a: np.subtract(a, a.mean(), out=a),
    "one channel": lambda a: a[..., 0].fill(7),
    "one image": lambda a: a[1].fill(7),
    "half": lambda a: a[:, :4].fill(7),
    "mirrored": lambda a: np.copyto(a, a[:, :, ::-1].copy()),
    "another batch": lambda a: np.copyto(a, numbers(*a.shape, seed=9, dtype=a.dtype)),
}


FIRST = {"conv": (lambda: Conv2d(3, 4, 3, padding=1), 4), "LRN": (LocalResponseNorm, 3)}
FIRST |= {"norm": (lambda: BatchNorm2d(3), 3), "pool": (lambda: MaxPool2d(2), 3), "relu": (ReLU, 3)}


def trained(first, change=None, checkpointing=False, dtype=np.float32):
    """Return the gradients of a step whose input is changed behind the forward pass."""
    layer, c = FIRST[first]
    net = chain(layer(), ReLU(), Conv2d(c, 4, 3), ReLU(), dtype=dtype)
    net.activation_checkpointing = checkpointing
    x = image(dtype)
    y = net.forward(x)
    if change is not None:
        CHANGES[change](x)
    dx = net.backward(np.ones_like(y), needs_input_grad=True)
    return np.append(net.flat().grads, dx)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("first", FIRST)
def test_a_changed_input_is_an_error_or_changes_nothing(dtype, first, checkpointing, change):
    if first in ("conv", "LRN"):
        with pytest.raises(RuntimeError, match="the input was changed in place after forward, but step 's0' saved it"):
            trained(first, change, checkpointing, dtype)
        return
    try:
        found = trained(first, change, checkpointing, dtype)
    except RuntimeError:
        return
    np.testing.assert_array_equal(found, trained(first, None, checkpointing, dtype))


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_output_is_an_error_where_it_was_kept(change):
    net = chain(Conv2d(3, 4, 3), ReLU())
    y = net.forward(image())
    dy = y.copy()
    CHANGES[change](y)
    with pytest.raises(RuntimeError, match="the output was changed in place after forward, but step 's1' saved it"):
        net.backward(dy)


@pytest.mark.parametrize("passes", [lambda net: net, CapturedNetwork])
def test_changed_parameters_are_an_error(passes):
    """An optimizer's step, a load, or a single small parameter; of a replay too."""
    changes = [
        lambda net: np.multiply(net.flat().values, np.float32(0.99), out=net.flat().values),
        lambda net: net.parameters()["s1.bias"].value.__iadd__(1),
        lambda net: net.parameters()["s0.weight"].value.__imul__(2),
    ]
    for change in changes:
        net = chain(Conv2d(3, 64, 3, padding=1), Conv2d(64, 4, 3))
        runner = passes(net)
        for _ in range(4):
            y = runner.forward(image())
            values = net.flat().values.copy()
            change(net)
            with pytest.raises(RuntimeError, match="parameters were changed between forward and backward"):
                runner.backward(y)
            net.flat().values[...] = values
            runner.backward(y)
            change(net)


def test_what_nobody_kept_may_be_changed():
    """As may everything after the backward pass, without one, and what a replay has copied."""
    net = chain(Scale(2.0), Conv2d(3, 4, 3))
    for _ in range(2):
        x = image()
        y = net.forward(x)
        x *= 0
        y -= y.max()
        net.backward(y)
        y *= 0
        net.flat().values[...] *= np.float32(0.9)
    net.eval().forward(x)
    x *= 0
    net.flat().values[...] = 1
    net.train()
    fast, twin = CapturedNetwork(chain(Conv2d(3, 4, 3), ReLU())), chain(Conv2d(3, 4, 3), ReLU())
    for call in range(4):
        x = image()
        y, expected = fast.forward(x), twin.forward(x.copy())
        if call:
            x *= 0
            y *= 0
        fast.backward(np.ones_like(y))
        twin.backward(np.ones_like(expected))
        np.testing.assert_array_equal(fast.network.flat().grads, twin.flat().grads)


def test_a_step_that_does_not_learn_does_not_mind():
    net = chain(Conv2d(3, 4, 3), Conv2d(4, 4, 3))
    net.freeze("s0")
    x = image()
    y = net.forward(x)
    x *= 0
    net.backward(y)


def test_nothing_is_kept_alive():
    import weakref

    net = chain(Scale(2.0), Scale(2.0))
    x = image()
    y = net.forward(x)
    gone = [weakref.ref(x), weakref.ref(y)]
    del x, y
    assert [ref() for ref in gone] == [None, None]
