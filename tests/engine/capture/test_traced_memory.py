"""While a pass is captured, layers see traced parameters and buffers; afterwards ordinary ones on the same memory."""

import numpy as np
import pytest

from scratchnet.engine.capture import Recorder, TracedArray
from scratchnet.engine.capture.program import Program
from scratchnet.engine.capture.traced_memory import traced_memory
from scratchnet.layers import BatchNorm2d, Conv2d
from scratchnet.network import Network


def network():
    net = Network(3)
    net.add("conv", Conv2d(3, 4, 1))
    net.add("norm", BatchNorm2d(4))
    return net.allocate(0)


def arrays_of(net):
    parameters = [a for p in net.parameters().values() for a in (p.value, p.grad)]
    return parameters + [buffer.value for buffer in net.state().values()]


def test_parameters_and_buffers_are_traced_inside_the_block_alone():
    net = network()
    before, bindings = arrays_of(net), [p.binding for p in net.parameters().values()]
    with Recorder().capture(Program()), traced_memory(net):
        inside = arrays_of(net)
        assert all(type(array) is TracedArray for array in inside)
    assert all(np.shares_memory(a.view(np.ndarray), b) for a, b in zip(inside, before, strict=True))
    after = arrays_of(net)
    assert all(type(array) is np.ndarray for array in after)
    assert all(np.shares_memory(a, b) for a, b in zip(after, before, strict=True))
    assert [p.binding for p in net.parameters().values()] == bindings


def test_an_error_leaves_nothing_traced():
    net = network()
    with pytest.raises(ZeroDivisionError), Recorder().capture(Program()), traced_memory(net):
        raise ZeroDivisionError
    assert all(type(array) is np.ndarray for array in arrays_of(net))


def test_without_a_recorder_nothing_is_traced():
    net = network()
    with traced_memory(net):
        assert all(type(array) is np.ndarray for array in arrays_of(net))
