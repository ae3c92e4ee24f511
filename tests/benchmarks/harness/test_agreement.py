from dataclasses import replace

import pytest

from benchmarks.harness.agreement import FLOAT64_TOLERANCE, Agreement, compare_in_float64, require_agreement
from benchmarks.harness.implementation_names import CHANNELS_LAST, SCRATCHNET, TORCH
from benchmarks.harness.network_cases import network_case
from benchmarks.harness.session import Session
from benchmarks.harness.step import measure_step, step_implementations
from benchmarks.harness.timing import TimingSettings
from benchmarks.harness.torch_network import TORCH_LAYERS
from scratchnet.layers import ReLU
from scratchnet.utils.errors import UserError

CASE = network_case("bloodcell", (32, 32), 2, options={"width": 0.1})
SESSION = Session(TimingSettings(1, 0.0, 0.0, 0), {SCRATCHNET: 1e9}, torch=True)


def measured(case=CASE, session=SESSION):
    said = []
    row = measure_step(case, session, "sgd", memory=False, compiled=False, say=said.append)
    assert not said
    return row


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("model", ["bloodcell", "deconvnet-small", "squares"])
def test_our_models_and_their_twins_agree(model, channels_last):
    pytest.importorskip("torch")
    options = {"width": 0.1} if model == "bloodcell" else {"width": 4}
    case = network_case(model, (32, 32), 4, options=options)
    assert compare_in_float64(case, channels_last).largest < 1e-9


def test_scores_that_start_at_zero_are_compared_all_the_same():
    pytest.importorskip("torch")
    case = network_case("fcn32s", (33, 33), 1, options={"width": 1 / 32, "padding": "same"})
    found = compare_in_float64(case, False)
    assert found.largest < 1e-9
    assert found.worst.startswith(("conv", "fc", "score"))


def test_large_networks_are_not_compared_in_float64(monkeypatch):
    monkeypatch.setattr("benchmarks.harness.agreement.MAX_PARAMETERS", 10)
    assert compare_in_float64(CASE, False) is None


def test_a_step_is_compared_and_timed():
    pytest.importorskip("torch")
    row = measured()
    assert row.case == "bloodcell width 0.1, 2×32×32"
    assert (
        list(row.timings) == [SCRATCHNET, TORCH, CHANNELS_LAST] == list(step_implementations(SESSION, compiled=False))
    )
    found = row.details["agreement"]
    assert list(found) == [f"{TORCH}, float64", f"{CHANNELS_LAST}, float64", TORCH, CHANNELS_LAST]
    assert found[f"{TORCH}, float64"]["gradient"] < FLOAT64_TOLERANCE


def test_without_pytorch_scratchnet_is_timed_alone():
    row = measured(session=replace(SESSION, torch=False))
    assert list(row.timings) == [SCRATCHNET]
    assert row.details["agreement"] == {}


def test_a_step_has_three_products_but_the_first_layer_two():
    # On 2 images: conv1 3→3 at 32×32 has no gradient by its input; by hand from the layers' table.
    network = CASE.network()
    shapes = network.shapes(CASE.size, CASE.batch)
    products = {s.name: s.layer.multiply_adds(*(shapes[i] for i in s.inputs)) for s in network.steps}
    row = measured(session=replace(SESSION, torch=False))
    assert row.flops == 2 * (3 * sum(products.values()) - products["conv1"])


def test_a_wrong_twin_is_refused(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setitem(TORCH_LAYERS, ReLU, lambda net, name, layer, taken: taken[0].clamp(min=1e-3))
    with pytest.raises(UserError, match=r"bloodcell width 0\.1, 2×32×32: torch computes something else"):
        measured()


def test_batch_norm_of_one_pixel_is_refused():
    case = network_case("deconvnet-small", (32, 32), 1, options={"width": 4})
    with pytest.raises(
        UserError, match="deconvnet-small width 4, 1×32×32: batch norm cannot train on one pixel; use --batch 2"
    ):
        measured(case)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(UserError, match="output off by nan"):
        require_agreement(CASE, "torch", Agreement(float("nan"), 0.0, 0.0, "conv1.weight"), 0.2, 0.5)


def test_outputs_loss_and_gradients_have_their_limits():
    require_agreement(CASE, "torch", Agreement(0.2, 0.5, 0.2, "conv1.weight"), 0.2, 0.5)
    nan = float("nan")
    for wrong in ((0.21, 0.0, 0.0), (0.0, 0.51, 0.0), (0.0, 0.0, 0.21), (0.0, nan, 0.0), (0.0, 0.0, nan)):
        with pytest.raises(UserError, match="computes something else"):
            require_agreement(CASE, "torch", Agreement(*wrong, "conv1.weight"), 0.2, 0.5)
