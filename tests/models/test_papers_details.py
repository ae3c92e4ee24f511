"""What the papers and the released networks say beside shapes and numbers."""

import numpy as np
import pytest

from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, Dropout, MaxPool2d, MaxUnpool2d, ReLU, Scale
from scratchnet.models import build
from tests.compare import numbers


def steps_of(net, *layers):
    return [step.name for step in net.steps if isinstance(step.layer, layers)]


def follows(net, name):
    """The kinds of the two steps behind a step."""
    index = [step.name for step in net.steps].index(name)
    return [type(step.layer) for step in net.steps[index + 1 : index + 3]]


def test_deconvnet_normalises_everything_but_the_score():
    net = build("deconvnet", 21, width=1 / 64)
    for name in steps_of(net, Conv2d, ConvTranspose2d):
        assert follows(net, name) == ([] if name == "score" else [BatchNorm2d, ReLU])
    assert not steps_of(net, Dropout)
    for layer in net.batch_norms().values():
        assert layer.eps == 1e-9
        assert layer.parameters["shift"].initializer(np.random.default_rng(), (2,)).tolist() == [np.float32(0.001)] * 2


def test_deconvnet_starts_its_second_half_with_a_hundredth():
    net = build("deconvnet", 21, width=1 / 4, size=32).allocate(0)
    for key, parameter in net.parameters().items():
        if parameter.kind == "weight" and ("deconv" in key or key.startswith("score")) and parameter.size > 3000:
            assert abs(parameter.value.std() / 0.01 - 1) < 0.05, key
    assert net.parameters()["conv2_1.weight"].value.std() > 0.05


@pytest.mark.parametrize("name", ["segnet", "segnet-basic"])
def test_only_switches_travel_from_segnets_encoder_to_its_decoder(name):
    net = build(name, 11)
    encoder = {step.name for step in net.steps[: next(i for i, s in enumerate(net.steps) if "unpool" in s.name)]}
    last_pool = steps_of(net, MaxPool2d)[-1]
    for step in net.steps[len(encoder) :]:
        reused = [n for n in step.inputs if n.partition(".")[0] in encoder and n != last_pool]
        assert all(n.endswith(".switches") for n in reused)


@pytest.mark.parametrize(("name", "width"), [("segnet", 1 / 64), ("segnet-basic", 1 / 16), ("deconvnet-small", 2)])
def test_nets_without_switches_differ_in_nothing_else(name, width):
    nets = {how: build(name, 2, width=width, unpool=how) for how in ("switches", "nearest", "transposed")}
    learned = {how: {k: p.shape for k, p in net.parameters().items()} for how, net in nets.items()}
    assert learned["nearest"] == learned["switches"]
    more = {k: s for k, s in learned["transposed"].items() if k not in learned["switches"]}
    assert {k.partition(".")[0] for k in more} == set(steps_of(nets["switches"], MaxUnpool2d))
    assert all(s in ((2, 2, s[-1], s[-1]), (s[0],)) for s in more.values())
    for how in ("nearest", "transposed"):
        assert not steps_of(nets[how], MaxUnpool2d)
        size = nets[how].fixed_size or (45, 23)
        shapes, expected = nets[how].shapes(size), nets["switches"].shapes(size)
        assert all(shapes[k] == s for k, s in expected.items() if not k.startswith("unpool"))


def test_segnets_decoder_has_relus_and_the_small_ones_has_none():
    relus = [name for name in steps_of(build("segnet", 11), ReLU) if name.startswith("decode")]
    assert len(relus) == 12
    assert follows(build("segnet", 11), "score") == []
    assert steps_of(build("segnet-basic", 11), ReLU) == [f"conv{i}_relu" for i in (1, 2, 3, 4)]


@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s"])
def test_fcn_says_nothing_at_the_start(name):
    net = build(name, 3, width=1 / 64, padding="same").allocate(0).eval()
    assert not net.forward(numbers(1, 40, 33, 3, dtype=np.float32)).any()
    assert steps_of(net, Dropout) == ["fc6_drop", "fc7_drop"]


def test_fcn8s_at_once_scales_the_pools_before_they_are_scored():
    net = build("fcn8s", 21, width=1 / 64, at_once=True)
    assert {s.inputs[0]: s.layer.factor for s in net.steps if isinstance(s.layer, Scale)} == {
        "pool4": 0.01,
        "pool3": 0.0001,
    }
    assert {s.name: s.inputs for s in net.steps if s.name in ("score_pool4", "score_pool3")} == {
        "score_pool4": ("scale_pool4",),
        "score_pool3": ("scale_pool3",),
    }
    assert not steps_of(build("fcn8s", 21, width=1 / 64), Scale)


@pytest.mark.parametrize(("depth", "border"), [(1, 8), (2, 20), (3, 44), (4, 92), (5, 188)])
def test_unets_border_is_what_its_convolutions_take(depth, border):
    net = build("unet", 2, depth=depth)
    assert net.valid_margin == border
    side = 2**depth * 40 + 2 * border - 4 * (2**depth - 1)  # such that every pool sees an even size
    shapes = net.shapes((side, side))
    assert all(shapes[f"pool{i}.switches"][1] % 2 == 0 for i in range(1, depth + 1))
    assert shapes["score"][1] == side - 2 * border


def test_unet_has_23_convolutions_and_dropout_at_the_end_of_the_way_down():
    net = build("unet", 2)
    assert len(steps_of(net, Conv2d, ConvTranspose2d)) == 23
    assert steps_of(net, Dropout) == ["drop4", "drop5"]
    assert steps_of(build("unet", 2, dropout=False), Dropout) == []
    assert len(build("unet", 2, batch_norm=True).batch_norms()) == 22


def test_the_dilated_fcn_keeps_its_resolution_and_spreads_its_kernels():
    net = build("dilated-fcn", 21)
    dilations = {s.name: s.layer.dilation[0] for s in net.steps if isinstance(s.layer, Conv2d)}
    assert {name for name, d in dilations.items() if d == 2 and name.startswith("conv")} == {
        "conv5_1",
        "conv5_2",
        "conv5_3",
    }
    assert dilations["fc6"] == 4
    assert [dilations[f"context{i}"] for i in range(1, 8)] == [1, 1, 2, 4, 8, 16, 1]
    assert steps_of(net, MaxPool2d) == ["pool1", "pool2", "pool3"]


def test_the_context_module_starts_as_the_identity():
    net = build("dilated-fcn", 3, width=1 / 64).allocate(0).eval()
    values = dict(net.walk(numbers(1, 33, 40, 3, dtype=np.float32), keep=True))
    np.testing.assert_array_equal(values["context_score"], np.maximum(values["score_fr"], 0))


def test_mobilenets_convolutions_are_separable():
    net = build("mobile-unet", 2)
    for step in net.steps:
        if isinstance(step.layer, Conv2d) and step.name not in ("conv1", "score"):
            c_in, _ = step.layer.channels
            assert (step.layer.kernel, step.layer.groups) in (((3, 3), c_in), ((1, 1), 1)), step.name
            assert follows(net, step.name) == [BatchNorm2d, ReLU]
