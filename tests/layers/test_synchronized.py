"""Synchronised batch norm as a layer; tests of training in several processes compare it with one process."""

import numpy as np
import pytest

from scratchnet.layers import BatchNorm2d, Conv2d, ReLU, SyncBatchNorm2d
from scratchnet.layers.synchronized import alone
from scratchnet.network import Network
from scratchnet.network.description import describe
from scratchnet.training.distributed.sharing import share_batches
from tests.compare import assert_close, numbers
from tests.ranks import together


def network():
    net = Network(3)
    net.add("conv", Conv2d(3, 4, 3, padding=1))
    net.add("norm", BatchNorm2d(4, momentum=0.3))
    net.add("relu", ReLU())
    return net.allocate(0, np.float64).train()


def step_of(net):
    y = net.forward(numbers(2, 5, 6, 3))
    dx = net.backward(numbers(*y.shape, seed=1), needs_input_grad=True, add=False)
    return [y, dx, net.flat().grads.copy(), *(buffer.value.copy() for buffer in net.state().values())]


def test_alone_it_is_batch_norm():
    net, twin = network(), network()
    net.replace_layer("norm", SyncBatchNorm2d.convert(net.batch_norms()["norm"], alone))
    for _ in range(2):
        for a, b in zip(step_of(net), step_of(twin), strict=True):
            assert_close(a, b)


def test_a_converted_layer_keeps_parameters_buffers_and_settings():
    norm = network().freeze_batch_norm().batch_norms()["norm"]
    norm.use_statistics("batch")
    found = SyncBatchNorm2d.convert(norm, alone)
    assert found.parameters is norm.parameters
    assert found.buffers is norm.buffers
    assert (found.momentum, found.frozen, found.statistics, found.training) == (0.3, True, "batch", True)
    assert type(norm) is BatchNorm2d


def test_a_file_names_the_layer_that_it_was_converted_from():
    net = network()
    before = describe(net)
    net.replace_layer("norm", SyncBatchNorm2d.convert(net.batch_norms()["norm"], alone))
    assert describe(net) == before


def test_a_batch_norm_of_ones_own_cannot_share_its_batches():
    class Own(BatchNorm2d):
        pass

    def share(ranks):
        net = Network(3)
        net.add("norm", Own(3))
        share_batches(net, ranks)

    with pytest.raises(ValueError, match="step 'norm': Own is a batch norm of your own"):
        together(2, share)


def test_a_network_replaces_a_layer_by_one_with_the_same_memory_alone():
    net = network()
    norm, values = net.batch_norms()["norm"], net.flat().values
    with pytest.raises(ValueError, match="has no step 'bn'"):
        net.replace_layer("bn", SyncBatchNorm2d.convert(norm, alone))
    with pytest.raises(ValueError, match="step 'norm': the new layer must have the parameters and buffers"):
        net.replace_layer("norm", BatchNorm2d(4))
    assert net.steps[1].layer is norm
    net.replace_layer("norm", SyncBatchNorm2d.convert(norm, alone))
    assert net.flat().values is values
    assert net.parameters()["norm.scale"] is norm.parameters["scale"]
    with pytest.raises(RuntimeError, match="without a forward before it"):
        net.backward(numbers(2, 5, 6, 4))
    other = Network(3)
    with pytest.raises(ValueError, match="already belongs to step 'norm'"):
        other.add("norm", net.steps[1].layer)
