from dataclasses import replace

import pytest

from benchmarks.harness.implementation_names import CHANNELS_LAST, SCRATCHNET, TORCH
from benchmarks.harness.network_cases import network_case
from benchmarks.harness.segment import measure_segment
from benchmarks.harness.session import Session
from benchmarks.harness.timing import TimingSettings
from benchmarks.harness.torch_network import TORCH_LAYERS
from scratchnet.layers import BatchNorm2d
from scratchnet.network.summary import summarize
from scratchnet.utils.errors import UserError

CASE = network_case("bloodcell", (48, 32), 1, options={"width": 0.1})
SESSION = Session(TimingSettings(1, 0.0, 0.0, 0), {SCRATCHNET: 1e9}, torch=True)


def test_a_forward_pass_is_compared_and_timed():
    pytest.importorskip("torch")
    row = measure_segment(CASE, SESSION, memory=False)
    assert list(row.timings) == [SCRATCHNET, TORCH, CHANNELS_LAST]
    assert row.details["agreement"][TORCH]["output"] < 1e-5
    assert row.flops == summarize(CASE.network(), (48, 32)).flops


def test_statistics_of_the_image_instead_of_the_running_ones_are_noticed(monkeypatch):
    pytest.importorskip("torch")
    rule = TORCH_LAYERS[BatchNorm2d]

    def always_training(net, name, layer, taken):
        before, net.training = net.training, True
        with net.torch.inference_mode(False):
            y = rule(net, name, layer, [taken[0].clone()])
        net.training = before
        return y

    monkeypatch.setitem(TORCH_LAYERS, BatchNorm2d, always_training)
    with pytest.raises(UserError, match=r"bloodcell width 0\.1, 1×48×32: the output of torch is off by"):
        measure_segment(CASE, SESSION, memory=False)


def test_alone():
    row = measure_segment(CASE, replace(SESSION, torch=False), memory=False)
    assert list(row.timings) == [SCRATCHNET]


def test_networks_for_one_size_are_refused():
    case = network_case("deconvnet-small", (32, 32), 1)
    with pytest.raises(UserError, match="'deconvnet-small' takes images of one size only"):
        measure_segment(case, SESSION, memory=False)
