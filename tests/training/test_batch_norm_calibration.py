import numpy as np

from scratchnet.training import recalibrate
from tests.compare import numbers
from tests.tiny import network

OPTIONS = {"width": 0.1, "batch_norm": True}


def batches(*counts):
    return [numbers(count, 32, 32, 3, seed=index, dtype=np.float32) for index, count in enumerate(counts)]


def test_the_mean_of_the_batches_means_and_variances():
    net, plain = network(options=OPTIONS), network(options=OPTIONS)
    plain.use_statistics("batch")
    seen = {name: [] for name in plain.batch_norms()}
    for x in batches(2, 2, 3):
        for name, value in plain.walk(x):
            if name + "_bn" in seen:  # the convolution in front: its output's own statistics
                axes = (0, 1, 2)
                seen[name + "_bn"].append((value.mean(axes, dtype=np.float64), value.var(axes, dtype=np.float64)))
    assert recalibrate(net, batches(2, 2, 3)) == 3
    for name, layer in net.batch_norms().items():
        mean, variance = (np.mean([pair[i] for pair in seen[name]], axis=0) for i in (0, 1))
        np.testing.assert_allclose(layer.buffers["running_mean"].value, mean, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(layer.buffers["running_var"].value, variance, rtol=1e-4, atol=1e-6)


def test_statistics_of_before_leave_no_trace():
    first, second = network(options=OPTIONS), network(options=OPTIONS)
    for layer in second.batch_norms().values():
        layer.buffers["running_mean"].value[...] = 50
        layer.buffers["running_var"].value[...] = 1e-3
    for net in (first, second):
        recalibrate(net, batches(2, 2))
    for name, buffer in first.state().items():
        np.testing.assert_array_equal(buffer.value, second.state()[name].value)


def test_one_batch_then_running_equals_batch_statistics():
    net = network(options=OPTIONS)
    (x,) = batches(3)
    recalibrate(net, [x])
    by_running = net.forward(x)
    by_batch = net.use_statistics("batch").forward(x)
    np.testing.assert_allclose(by_running, by_batch, rtol=1e-4, atol=1e-5)


def test_the_network_is_left_ready_for_use_with_its_weights_untouched():
    net = network(options=OPTIONS).train()
    values = net.flat().values.copy()
    recalibrate(net, batches(2))
    np.testing.assert_array_equal(net.flat().values, values)
    assert not net.training
    assert all(layer.statistics == "running" and layer.saved is None for layer in net.batch_norms().values())


def test_without_batches_the_statistics_stay():
    net = network(options=OPTIONS)
    before = {name: buffer.value.copy() for name, buffer in net.state().items()}
    assert recalibrate(net, []) == 0
    for name, buffer in net.state().items():
        np.testing.assert_array_equal(buffer.value, before[name])
