"""Whole networks on a device: a training step gives the CPU's numbers, and nobody waits in it."""

import numpy as np
import pytest

import scratchnet
from scratchnet.arrays import generator, to_host
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.training.optimizers import SGD, Adam
from tests.compare import numbers
from tests.devices.compare import assert_same, down, up
from tests.layer_cases import CASES, EVEN, C, prepared
from tests.standin.array import counted

MODELS = {
    "bloodcell with switches": (("bloodcell", {"width": 0.1, "unpool": "switches", "batch_norm": True}), 16),
    "deconvnet": (("deconvnet", {"size": 32, "width": 1 / 64}), 32),
    "unet with dropout": (("unet-same", {"width": 1 / 32, "depth": 2, "dropout": True}), 16),
    "fcn8s": (("fcn8s", {"width": 1 / 64, "padding": "same"}), 32),
    "mobile-unet": (("mobile-unet", {"width": 1 / 16}), 32),
}


def step(case, dtype, xp, checkpointing=False):
    """Make two updates; return all that they left behind, and what they cost."""
    (model, options), size = MODELS[case]
    net = build(model, 3, 3, **options).allocate(0, dtype)
    net.flat().values += 0.02 * generator(0, "off").standard_normal(net.flat().values.shape).astype(dtype)
    net.to(xp).train().activation_checkpointing = checkpointing
    passes, loss = CapturedNetwork(net), PixelLoss(3, "cross-entropy+dice", class_weights=(0.5, 1.0, 2.0))
    x = numbers(2, size, size, 3, dtype=dtype)
    labels = generator(0, "labels").integers(0, 3, net.shapes((size, size), 2)[net.steps[-1].name][:3]).astype(np.uint8)
    labels[0, :2] = 255
    x, labels = up((x, labels), xp)
    optimizers = SGD(0.9, 1e-3, 2.0), Adam(1e-3)
    found = []
    for turn, optimizer in enumerate(optimizers):
        with counted() as counts:
            net.reseed(0, turn)
            net.zero_grad()
            value, dlogits = loss(passes.forward(x), labels)
            passes.backward(dlogits)
            optimizer.step(net.flat(), 1e-3)
        found.append((value, net.flat().grads.copy()))
    return found, net.flat().values, {name: b.value for name, b in net.state().items()}, counts


@pytest.mark.parametrize("case", MODELS)
def test_two_updates_give_the_cpus_numbers_without_a_copy_or_a_wait(case, xp):
    with scratchnet.precise():
        losses, values, state, _ = step(case, np.float64, np)
    found, new_values, new_state, counts = step(case, np.float64, xp)
    assert counts.copies == counts.synchronisations == []
    for (value, grads), (expected, expected_grads) in zip(found, losses, strict=True):
        assert float(value) == pytest.approx(expected, rel=1e-9)
        assert_same(down(grads), expected_grads)
    assert_same(down(new_values), values)
    for name in state:
        assert_same(down(new_state[name]), state[name], name)


@pytest.mark.parametrize("case", MODELS)
def test_recomputing_gives_the_same_bits_without_a_copy_or_a_wait(case, xp):
    before, values, state, _ = step(case, np.float32, xp)
    after, new_values, new_state, counts = step(case, np.float32, xp, checkpointing=True)
    assert counts.copies == counts.synchronisations == []
    for (_, grads), (_, expected) in zip(after, before, strict=True):
        np.testing.assert_array_equal(down(grads), down(expected))
    np.testing.assert_array_equal(down(new_values), down(values))
    for name in state:
        np.testing.assert_array_equal(down(new_state[name]), down(state[name]), name)


@pytest.mark.parametrize("case", ["bloodcell with switches", "unet with dropout"])
def test_float32_stays_float32(case, xp):
    """A NumPy float64 among the factors would make everything behind it float64, at half the speed."""
    with scratchnet.precise():
        losses, _, _, _ = step(case, np.float32, np)
    found, new_values, state, counts = step(case, np.float32, xp)
    # Sums a channel, one or two, and what a pixel counts for.
    assert all(len(shape) in (0, 1, 3) or (len(shape) == 2 and shape[0] <= 2) for shape in counts.doubles)
    for (_, grads), (_, expected) in zip(found, losses, strict=True):
        assert grads.dtype == np.float32
        largest = np.abs(expected).max()
        np.testing.assert_allclose(down(grads), expected, rtol=0, atol=1e-4 * largest)
    assert new_values.dtype == np.float32
    assert {b.dtype for b in state.values()} <= {np.dtype(np.float32)}


@pytest.mark.parametrize("case", CASES)
def test_layers_keep_dtype_and_device(case, xp):
    """Forward and backward of every kind of layer; a float64 on the way would show in a float32 network."""
    x = numbers(2, *EVEN, C, dtype=np.float32)
    results = []
    for module in (np, xp):
        net = prepared(CASES[case], np.float32).to(module).train()
        y = net.forward(up(x, module))
        dx = net.backward(up(numbers(*y.shape, seed=9, dtype=np.float32), module), needs_input_grad=True)
        assert {y.dtype, dx.dtype, net.flat().grads.dtype} == {np.dtype(np.float32)}
        results.append(down((y, dx, net.flat().grads)))
    assert_same(results[1], results[0])


def test_a_network_moves_and_moves_back(xp):
    net = prepared(CASES["batch norm"], np.float32).train()
    before, x = net.flat().values.copy(), numbers(2, *EVEN, C, dtype=np.float32)
    y = net.forward(x)
    net.to(xp)
    assert type(net.parameters()["step.scale"].value) is type(net.state()["step.running_mean"].value) is xp.ndarray
    assert net.flat().segments
    assert net.to(xp) is net
    for module in (xp, np):
        net.to(module)
        np.testing.assert_array_equal(to_host(net.flat().values), before)
        net.flat().values *= 2
        np.testing.assert_array_equal(to_host(net.parameters()["step.scale"].value), 2 * before[:C])  # views follow
        net.flat().values /= 2
    np.testing.assert_allclose(net.forward(x), y, rtol=1e-5)


def test_what_is_on_two_devices_is_refused_in_one_line(xp):
    net = prepared(CASES["conv"], np.float32)
    x = numbers(2, *EVEN, C, dtype=np.float32)
    with pytest.raises(ValueError, match="the input is on a GPU, but the network on the CPU"):
        net.forward(xp.asarray(x))
    with pytest.raises(ValueError, match="the input is on the CPU, but the network on a GPU"):
        net.to(xp).forward(x)
