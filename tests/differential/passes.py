"""Run a random network in every mode, and once in PyTorch."""

import gc
from unittest import mock

import numpy as np

from benchmarks.harness import torch_network
from scratchnet import layers
from scratchnet.engine.capture.captured_network import CapturedNetwork
from tests.differential.arrays import laid_out
from tests.differential.judging import agree, working
from tests.differential.networks import build
from tests.differential.own_layers import TORCH_LAYERS

CALLS = 4
"""Passes of a replay: the first runs as always, the second is recorded, the others are repeated."""


def check_network(case):
    """Compare output, all gradients and the running averages: PyTorch, threads, replay, recomputing, other modes."""
    dtype = np.dtype(case["dtype"])
    net = build(case)
    values = {name: value.copy() for name, value in torch_network.parameter_values(net).items()}
    x, dy = _input(case, net, 0)
    with working("plain", 1):
        plain, masks = _run(net, x, dy, net)
    if dtype == np.float64:
        theirs = _twin(case, net, values, masks, x, dy)
        _compare("plain", plain, theirs, dtype)
        for mode in ("precise", "textbook"):
            other = build(case)
            with working(mode, 1):
                _compare(mode, _run(other, x, dy, other)[0], theirs, dtype)
    _check_same_bits(case, x, dy)


def _check_same_bits(case, x, dy):
    """Compare recomputing and replay with plain passes on as many threads."""
    with working("plain", case["cores"]):
        other, again = build(case), build(case)
        plain = _run(other, x, dy, other)[0]
        again.activation_checkpointing = True
        _same("checkpointing", _run(again, x, dy, again)[0], plain)
        net, recorded = build(case), build(case)
        fast = CapturedNetwork(recorded)
        try:
            for call in range(CALLS):
                x, dy = _input(case, net, call)
                _same(f"replay, call {call + 1}", _run(recorded, x, dy, fast)[0], _run(net, x, dy, net)[0])
        finally:
            fast.clear()
            del fast
            gc.collect(0)


def _input(case, net, call):
    rng = np.random.default_rng([case["seed"], call])
    dtype, shape = np.dtype(case["dtype"]), (case["n"], *case["size"], case["channels"])
    output = net.shapes(tuple(case["size"]), case["n"])[net.steps[-1].name]
    made = (rng.standard_normal(size).astype(dtype) for size in (shape, output))
    x, dy = (laid_out(array, case["layout"]) for array in made)
    return x, dy


def _run(net, x, dy, runner):
    """Return all results of a forward and a backward pass by name, and the masks of dropout."""
    net.reseed(5)
    net.zero_grad()
    found = {"output": runner.forward(x, True).copy()}
    masks = {s.name: s.layer.saved[0] for s in net.steps if isinstance(s.layer, layers.Dropout) and s.layer.saved}
    masks = {name: np.array(mask) for name, mask in masks.items() if mask is not None}
    found["dx"] = runner.backward(dy, True).copy()
    found |= {f"gradient of {name}": p.grad.copy() for name, p in net.parameters().items()}
    found |= {name: b.value.copy() for name, b in net.state().items()}
    return found, masks


def _twin(case, net, values, masks, x, dy):
    import torch

    with mock.patch.dict(torch_network.TORCH_LAYERS, TORCH_LAYERS):
        torch_net = torch_network.TorchNetwork(net, values)
        torch_net.training = case["training"]
        torch_net.masks = {name: torch.tensor(mask).permute(0, 3, 1, 2) for name, mask in masks.items()}
        tx = torch_net.batch(x.copy()).requires_grad_()
        y = torch_net.forward(tx)
        y.backward(torch_net.batch(dy.copy()))
    zero = {name: t for name, t in torch_net.learned.items() if t.grad is None}
    for t in zero.values():
        t.grad = torch.zeros_like(t)
    found = {"output": _maps(y), "dx": _maps(tx.grad if tx.grad is not None else torch.zeros_like(tx))}
    found |= {f"gradient of {name}": np.asarray(g) for name, g in torch_net.gradients().items()}
    return found | {name: t.numpy() for name, t in torch_net.state.items()}


def _maps(t):
    return t.detach().numpy().transpose(0, 2, 3, 1)


def _compare(mode, found, theirs, dtype):
    # A gradient that is 0 because batch norm cancels it is a sum of terms that are as large as other gradients.
    largest = max(np.abs(v).max(initial=0) for name, v in theirs.items() if name == "dx" or name.startswith("gradient"))
    for name, expected in theirs.items():
        own = np.abs(expected).max(initial=0)
        agree(
            f"{mode}: {name}",
            found[name],
            expected,
            dtype,
            max(own, largest) if name == "dx" or "gradient" in name else own,
        )


def _same(mode, found, plain):
    for name, expected in plain.items():
        if not np.array_equal(found[name], expected, equal_nan=True):
            difference = np.abs(found[name] - expected).max()
            raise AssertionError(f"{mode}: {name} differs from the plain pass by {difference:.3g}")
