import os

import numpy as np
import pytest

from scratchnet.engine.forks import share_with_children
from scratchnet.network import FlatBuffers
from scratchnet.training import SGD, Adam, optimizers
from tests.compare import numbers
from tests.processes import fork

SEGMENTS = {"weight": slice(0, 50), "bias": slice(50, 57), "scale": slice(57, 60), "shift": slice(60, 63)}
KIND = [kind for kind, segment in SEGMENTS.items() for _ in range(segment.start, segment.stop)]
RATES = [0.1, 0.1, 0.02, 0.3, 0.001, 0.05, 0.05]


def buffers(dtype=np.float64, segments=SEGMENTS):
    size = max(segment.stop for segment in segments.values())
    return FlatBuffers(numbers(size, seed=1, dtype=dtype), np.zeros(size, dtype), dict(segments))


def gradients(size, dtype=np.float64):
    return [numbers(size, seed=10 + step, dtype=dtype) for step in range(len(RATES))]


def follow(optimizer, flat):
    """Make all steps; return the values after each."""
    path = []
    for rate, gradient in zip(RATES, gradients(flat.values.size, flat.values.dtype), strict=True):
        flat.grads[...] = gradient
        optimizer.step(flat, rate)
        path.append(flat.values.copy())
    return np.stack(path)


def sgd_in_a_loop(momentum, decay, bias_lr_multiplier):
    values = [float(v) for v in buffers().values]
    memory, path = [0.0] * len(values), []
    for rate, gradient in zip(RATES, gradients(len(values)), strict=True):
        for i, kind in enumerate(KIND):
            g = float(gradient[i]) + (decay * values[i] if kind == "weight" else 0.0)
            memory[i] = momentum * memory[i] + g
            values[i] -= rate * (bias_lr_multiplier if kind == "bias" else 1.0) * memory[i]
        path.append(list(values))
    return np.array(path)


def adam_in_a_loop(decay, bias_lr_multiplier, beta1=0.9, beta2=0.999, eps=1e-8):
    values = [float(v) for v in buffers().values]
    mean, square, path = [0.0] * len(values), [0.0] * len(values), []
    for t, (rate, gradient) in enumerate(zip(RATES, gradients(len(values)), strict=True), 1):
        for i, kind in enumerate(KIND):
            g = float(gradient[i]) + (decay * values[i] if kind == "weight" else 0.0)
            mean[i] = beta1 * mean[i] + (1 - beta1) * g
            square[i] = beta2 * square[i] + (1 - beta2) * g * g
            step = (mean[i] / (1 - beta1**t)) / ((square[i] / (1 - beta2**t)) ** 0.5 + eps)
            values[i] -= rate * (bias_lr_multiplier if kind == "bias" else 1.0) * step
        path.append(list(values))
    return np.array(path)


@pytest.mark.parametrize("settings", [(0.0, 0.0, 1.0), (0.9, 0.0, 1.0), (0.9, 0.01, 2.0)])
def test_sgd_is_its_formula(settings):
    np.testing.assert_allclose(follow(SGD(*settings), buffers()), sgd_in_a_loop(*settings), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("settings", [(0.0, 1.0), (0.05, 2.0)])
def test_adam_is_its_formula(settings):
    np.testing.assert_allclose(follow(Adam(*settings), buffers()), adam_in_a_loop(*settings), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_the_same_as_pytorch(name):
    torch = pytest.importorskip("torch")
    flat = buffers()
    parameter = {kind: torch.tensor(flat.values[segment]) for kind, segment in SEGMENTS.items()}
    groups = [
        {"params": [value], "factor": 2.0 if kind == "bias" else 1.0, "weight_decay": 0.01 * (kind == "weight")}
        for kind, value in parameter.items()
    ]
    kind = torch.optim.SGD if name == "sgd" else torch.optim.Adam
    theirs = kind(groups, lr=0.1, **({"momentum": 0.9} if name == "sgd" else {}))
    ours = SGD(0.9, 0.01, 2.0) if name == "sgd" else Adam(0.01, 2.0)
    path = follow(ours, flat)
    for rate, gradient, expected in zip(RATES, gradients(flat.values.size), path, strict=True):
        for group, segment in zip(theirs.param_groups, SEGMENTS.values(), strict=True):
            group["lr"] = rate * group["factor"]
            group["params"][0].grad = torch.tensor(gradient[segment])
        theirs.step()
        result = np.concatenate([value.numpy() for value in parameter.values()])
        np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("make", [lambda: SGD(0.9, 0.1, 2.0), lambda: Adam(0.1, 2.0)], ids=["sgd", "adam"])
def test_pieces_change_no_bit(make, dtype, monkeypatch):
    whole = follow(make(), buffers(dtype))
    monkeypatch.setattr(optimizers, "CHUNK_ELEMENTS", 7)
    np.testing.assert_array_equal(follow(make(), buffers(dtype)), whole)


@pytest.mark.parametrize("make", [lambda: SGD(0.9, 0.1), lambda: Adam(0.1)], ids=["sgd", "adam"])
def test_dtype_and_memory(make, dtype):
    optimizer, flat = make(), buffers(dtype)
    values = flat.values
    follow(optimizer, flat)
    assert flat.values is values  # updated in place, so the parameters that view it follow
    assert values.dtype == dtype
    assert optimizer.steps == len(RATES)
    assert set(optimizer.arrays) == set(optimizer.names)
    assert all(array.dtype == dtype and array.shape == values.shape for array in optimizer.arrays.values())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked on this system")
@pytest.mark.parametrize("make", [SGD, Adam], ids=["sgd", "adam"])
def test_a_forked_process_sees_the_memory_and_keeps_no_copy(make):
    optimizer, flat = make(), buffers()
    flat.grads[...] = 1
    optimizer.step(flat, 0.1)
    seen = {name: array.copy() for name, array in optimizer.arrays.items()}
    with share_with_children():
        pid = fork()
    if pid == 0:
        optimizer.step(flat, 0.1)
        os._exit(0)
    os.waitpid(pid, 0)
    assert all((optimizer.arrays[name] > seen[name]).all() for name in seen)


@pytest.mark.parametrize("make", [lambda: SGD(0.9, 0.01), lambda: Adam(0.01)], ids=["sgd", "adam"])
def test_going_on_from_stored_memory_changes_no_bit(make):
    expected = follow(make(), buffers())[-1]
    first, flat = make(), buffers()
    halves = list(zip(RATES, gradients(flat.values.size), strict=True))
    for rate, gradient in halves[:3]:
        flat.grads[...] = gradient
        first.step(flat, rate)
    second = make()
    second.arrays, second.steps = {name: array.copy() for name, array in first.arrays.items()}, first.steps
    for rate, gradient in halves[3:]:
        flat.grads[...] = gradient
        second.step(flat, rate)
    np.testing.assert_array_equal(flat.values, expected)


@pytest.mark.parametrize("make", [lambda decay: SGD(0.0, decay), Adam], ids=["sgd", "adam"])
def test_decay_pulls_on_weights_alone(make):
    flat, plain = buffers(), buffers()
    make(0.5).step(flat, 0.1)
    make(0.0).step(plain, 0.1)  # gradients are 0: nothing moves
    np.testing.assert_array_equal(plain.values, buffers().values)
    changed = flat.values != plain.values
    assert changed[SEGMENTS["weight"]].all()
    assert not changed[50:].any()
    before = np.abs(plain.values[SEGMENTS["weight"]])
    after = np.abs(flat.values[SEGMENTS["weight"]])
    assert (after < before).mean() > 0.9  # towards 0 (Adam's first step has a fixed length and may pass it)


def test_gradients_are_left_alone():
    for optimizer in (SGD(0.9, 0.1), Adam(0.1)):
        flat = buffers()
        flat.grads[...] = gradient = gradients(flat.values.size)[0]
        optimizer.step(flat, 0.1)
        np.testing.assert_array_equal(flat.grads, gradient)
