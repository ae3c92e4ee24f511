"""What contestants computed, compared: rounding passes, mistakes do not."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.harness.implementations import TorchStep, build_ours, build_torch, make_batch, started
from benchmarks.harness.network_cases import network_case
from benchmarks.harness.step_results import LIMITS, differences, objection, of_ours, of_torch, packed, unpacked
from benchmarks.harness.torch_network import TorchTwin, parameter_values
from tests.engine.cuda.cublas import shortened

CASE = network_case("deconvnet-small", (32, 32), 4, options={"width": 4})


@pytest.fixture(scope="module")
def right():
    """What we compute in float32."""
    return of_ours(build_ours(CASE, "sgd"))


def twin_step(change=lambda twin: None):
    """PyTorch's side, with a change."""
    twin = TorchTwin(CASE.network(), parameter_values(started(CASE)))
    change(twin)
    return TorchStep(twin, make_batch(CASE), "sgd")


def replace_function(twin, name, function):
    """Let the twin call ``function(whole, *arguments)`` in the place of one of PyTorch's."""
    whole = getattr(twin.functional, name)
    twin.functional = SimpleNamespace(**vars(twin.functional))
    setattr(twin.functional, name, lambda *a, **k: function(whole, *a, **k))


def cut_factors(twin, bits):
    """Round what convolutions multiply, as tensor cores do."""

    def cut(tensor):
        short = twin.torch.from_numpy(shortened(tensor.detach().numpy(), bits))
        return tensor + (short - tensor.detach())

    for name in ("conv2d", "conv_transpose2d"):
        replace_function(twin, name, lambda whole, x, weight, *a: whole(cut(x), cut(weight), *a))


def test_both_libraries_agree_in_float64_to_nearly_all_digits():
    pytest.importorskip("torch")
    found = differences(
        of_torch(build_torch(CASE, "sgd", dtype=np.float64)), of_ours(build_ours(CASE, "sgd", np.float64))
    )
    assert objection(found, "float64") is None
    assert max(found.values()) < 1e-9


def test_rounding_passes_and_turns_the_gradient_away(right):
    pytest.importorskip("torch")
    assert objection(differences(of_torch(twin_step()), right), "float32") is None
    for precision, bits in (("tf32", 10), ("bf16", 7)):
        found = differences(of_torch(twin_step(lambda twin, bits=bits: cut_factors(twin, bits))), right)
        assert objection(found, precision) is None
    assert 0.1 < found["output"] < LIMITS["bf16"].output
    assert found["gradient"] > 0.5
    assert "output off by" in objection(found, "float32")


def wrong_kernel(twin):
    name = next(name for name in twin.learned if name.startswith("deconv") and name.endswith("weight"))
    twin.learned[name] = twin.learned[name].detach().flip(2).requires_grad_()


def no_unpooling(twin):
    replace_function(twin, "max_unpool2d", lambda whole, *a, **k: 0 * whole(*a, **k))


@pytest.mark.parametrize("mistake", [wrong_kernel, no_unpooling])
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_mistakes_do_not_pass(right, mistake, precision):
    pytest.importorskip("torch")
    assert objection(differences(of_torch(twin_step(mistake)), right), precision) is not None


def test_a_gradient_that_counts_twice_or_is_no_number_does_not_pass(right):
    for gradient in (2 * right.gradient, np.nan * right.gradient):
        found = differences(replace(right, gradient=gradient), right)
        assert "length off by" in objection(found, "bf16")


def test_dropout_is_back_behind_the_comparison():
    case = network_case("unet-same", (32, 32), 1, options={"width": 1 / 32, "depth": 2, "dropout": True})
    step = build_ours(case, "sgd")
    dropout = next(s.layer for s in step.network.steps if hasattr(s.layer, "rate"))
    rate = dropout.rate
    first, second = of_ours(step), of_ours(step)
    np.testing.assert_array_equal(first.logits, second.logits)
    assert dropout.rate == rate > 0


def test_evidence_goes_through_a_file(right):
    file = io.BytesIO()
    np.savez(file, **packed({"float32": right, "float64": right}))
    file.seek(0)
    with np.load(file) as arrays:
        found = unpacked(arrays)
    assert set(found) == {"float32", "float64"}
    np.testing.assert_array_equal(found["float32"].gradient, right.gradient)
    assert found["float64"].loss == right.loss
