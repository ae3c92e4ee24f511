"""Comparison of step results: rounding differences pass, errors do not."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.harness.implementations import (
    TorchStep,
    build_scratchnet_step,
    build_torch_step,
    initialized_network,
    make_batch,
)
from benchmarks.harness.network_cases import network_case
from benchmarks.harness.step_results import (
    LIMITS,
    describe_mismatch,
    differences,
    pack_results,
    scratchnet_result,
    torch_result,
    unpack_results,
)
from benchmarks.harness.torch_network import TorchNetwork, parameter_values
from tests.engine.cuda.cublas import shortened

CASE = network_case("deconvnet-small", (32, 32), 4, options={"width": 4})


@pytest.fixture(scope="module")
def right():
    """scratchnet's result in float32."""
    return scratchnet_result(build_scratchnet_step(CASE, "sgd"))


def torch_step(change=lambda net: None):
    """Return PyTorch's step after a change to its network."""
    net = TorchNetwork(CASE.network(), parameter_values(initialized_network(CASE)))
    change(net)
    return TorchStep(net, make_batch(CASE), "sgd")


def replace_function(net, name, function):
    """Replace one of PyTorch's functions by ``function(original, *arguments)``."""
    whole = getattr(net.functional, name)
    net.functional = SimpleNamespace(**vars(net.functional))
    setattr(net.functional, name, lambda *a, **k: function(whole, *a, **k))


def cut_factors(net, bits):
    """Round the factors of convolutions, as tensor cores do."""

    def cut(tensor):
        short = net.torch.from_numpy(shortened(tensor.detach().numpy(), bits))
        return tensor + (short - tensor.detach())

    for name in ("conv2d", "conv_transpose2d"):
        replace_function(net, name, lambda whole, x, weight, *a: whole(cut(x), cut(weight), *a))


def test_both_libraries_agree_in_float64_to_nearly_all_digits():
    pytest.importorskip("torch")
    found = differences(
        torch_result(build_torch_step(CASE, "sgd", dtype=np.float64)),
        scratchnet_result(build_scratchnet_step(CASE, "sgd", np.float64)),
    )
    assert describe_mismatch(found, "float64") is None
    assert max(found.values()) < 1e-9


def test_rounding_passes_and_turns_the_gradient_away(right):
    pytest.importorskip("torch")
    assert describe_mismatch(differences(torch_result(torch_step()), right), "float32") is None
    for precision, bits in (("tf32", 10), ("bf16", 7)):
        found = differences(torch_result(torch_step(lambda net, bits=bits: cut_factors(net, bits))), right)
        assert describe_mismatch(found, precision) is None
    assert 0.1 < found["output"] < LIMITS["bf16"].output
    assert found["gradient"] > 0.5
    assert "output off by" in describe_mismatch(found, "float32")


def wrong_kernel(net):
    name = next(name for name in net.learned if name.startswith("deconv") and name.endswith("weight"))
    net.learned[name] = net.learned[name].detach().flip(2).requires_grad_()


def no_unpooling(net):
    replace_function(net, "max_unpool2d", lambda whole, *a, **k: 0 * whole(*a, **k))


@pytest.mark.parametrize("mistake", [wrong_kernel, no_unpooling])
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_mistakes_do_not_pass(right, mistake, precision):
    pytest.importorskip("torch")
    assert describe_mismatch(differences(torch_result(torch_step(mistake)), right), precision) is not None


def test_a_gradient_that_counts_twice_or_is_no_number_does_not_pass(right):
    for gradient in (2 * right.gradient, np.nan * right.gradient):
        found = differences(replace(right, gradient=gradient), right)
        assert "length off by" in describe_mismatch(found, "bf16")


def test_dropout_is_back_behind_the_comparison():
    case = network_case("unet-same", (32, 32), 1, options={"width": 1 / 32, "depth": 2, "dropout": True})
    step = build_scratchnet_step(case, "sgd")
    dropout = next(s.layer for s in step.network.steps if hasattr(s.layer, "rate"))
    rate = dropout.rate
    first, second = scratchnet_result(step), scratchnet_result(step)
    np.testing.assert_array_equal(first.logits, second.logits)
    assert dropout.rate == rate > 0


def test_evidence_goes_through_a_file(right):
    file = io.BytesIO()
    np.savez(file, **pack_results({"float32": right, "float64": right}))
    file.seek(0)
    with np.load(file) as arrays:
        found = unpack_results(arrays)
    assert set(found) == {"float32", "float64"}
    np.testing.assert_array_equal(found["float32"].gradient, right.gradient)
    assert found["float64"].loss == right.loss
