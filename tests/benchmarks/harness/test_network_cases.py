import json
from dataclasses import replace

import pytest

from benchmarks.harness.network_cases import DEFAULT_MODELS, MIRROR, NetworkCase, network_case
from scratchnet.layers import BatchNorm2d
from scratchnet.models import MODELS
from scratchnet.network.summary import summarize
from scratchnet.utils.errors import UserError


def test_the_mirror_is_vgg16_there_and_back():
    case = network_case(MIRROR)
    assert (case.size, case.batch, case.classes, case.name) == ((224, 224), 1, 21, "vgg16-mirror, 1×224×224")
    network = case.network()
    shapes = network.shapes(case.size)
    assert [shapes[f"pool{i}"] for i in range(1, 6)] == [
        (1, 112, 112, 64),
        (1, 56, 56, 128),
        (1, 28, 28, 256),
        (1, 14, 14, 512),
        (1, 7, 7, 512),
    ]
    assert shapes["unpool5"] == (1, 14, 14, 512)
    assert shapes["score"] == (1, 224, 224, 21)
    assert len([name for name in shapes if name.startswith("conv") and "_relu" in name]) == 13
    # VGG16's convolutions have 14,714,688 numbers; the paper's network has 251,805,653, fc6, fc7 and fc6-deconv (with
    # batch norm) 222,324,224 of them.
    assert network.parameter_count() == 251_805_653 - 222_324_224
    assert summarize(network, case.size).flops == pytest.approx(65.05e9, rel=1e-3)


@pytest.mark.parametrize("model", [*MODELS, MIRROR])
def test_defaults_fit_every_model(model):
    case = network_case(model)
    assert case.batch == (8 if case.size == (128, 128) else 2 if model == "deconvnet" else 1)
    assert NetworkCase.from_dict(json.loads(json.dumps(case.to_dict()))) == case
    assert case.network().shapes(case.size, case.batch)


def test_the_default_cases_have_batch_norm():
    for model in DEFAULT_MODELS:
        case = network_case(model)
        assert (case.size, case.batch) == ((128, 128), 8)
        assert any(isinstance(step.layer, BatchNorm2d) for step in case.network().steps)


def test_what_is_given_counts():
    case = network_case("bloodcell", (32, 48), 3, 5, {"batch_norm": False, "width": 0.5})
    assert (case.size, case.batch, case.classes) == ((32, 48), 3, 5)
    assert case.network().shapes(case.size, 3)["score"] == (3, 32, 48, 5)
    assert not case.network().batch_norms()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("cells",), "model 'cells' does not exist; choose one of: "),
        ((MIRROR, None, None, None, {"width": 3}), "model 'vgg16-mirror' has no options, but came with width"),
        (("squares", None, None, None, {"unpool": "nearest"}), "model 'squares' has no option 'unpool'"),
        (("deconvnet-small", (64, 32)), "--size 64x32: model 'deconvnet-small' takes square images only"),
        (("bloodcell", (8, 8)), "model 'bloodcell' cannot take images of 8×8: step '"),
    ],
)
def test_what_cannot_be_measured(arguments, error):
    with pytest.raises(UserError, match=error):
        network_case(*arguments)


def test_recomputing_is_part_of_the_case():
    case = replace(network_case("squares", (64, 64)), activation_checkpointing=True)
    assert NetworkCase.from_dict(json.loads(json.dumps(case.to_dict()))) == case
    assert case.network().activation_checkpointing
    assert case.name == "squares, 8×64×64, recomputed"
    assert not network_case("squares").network().activation_checkpointing


def test_the_name_says_a_width_that_is_not_the_default():
    assert network_case("segnet-basic", (180, 240), 4, 11, {"width": 0.5}).name == "segnet-basic width 0.5, 4×180×240"
    assert network_case("squares", (64, 64), 2, 2, {"width": 64}).name == "squares, 2×64×64"
