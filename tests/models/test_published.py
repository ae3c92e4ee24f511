"""The figures that papers and released networks print."""

import pytest

from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d
from scratchnet.models import build
from scratchnet.network.summary import summarize


def numbers_in(net, *layers):
    return sum(p.size for step in net.steps if isinstance(step.layer, layers) for p in step.layer.parameters.values())


def numbers_of(net, *names):
    return sum(p.size for key, p in net.parameters().items() if key.partition(".")[0] in names)


@pytest.mark.parametrize(
    ("name", "classes", "channels", "options", "count"),
    [
        ("deconvnet", 21, 3, {}, 251_805_653),
        ("segnet", 11, 3, {}, 29_449_355),
        ("segnet-basic", 11, 3, {}, 1_415_563 + 1_024),
        ("fcn32s", 21, 3, {}, 134_346_581),
        ("fcn32s", 21, 3, {"upsampling": "learned"}, 134_346_581 + 1_806_336),
        ("fcn32s", 21, 3, {"upsampling": "paper"}, 134_346_581),  # its only enlargement is the last one
        ("fcn16s", 21, 3, {}, 134_346_581 + 512 * 21 + 21),
        ("fcn8s", 21, 3, {}, 134_346_581 + 512 * 21 + 21 + 256 * 21 + 21),
        ("fcn8s", 21, 3, {"padding": "same", "at_once": True}, 134_346_581 + 512 * 21 + 21 + 256 * 21 + 21),
        ("unet", 2, 1, {}, 31_030_658),
        ("unet-same", 2, 1, {}, 31_030_658),
        ("dilated-fcn", 21, 3, {}, 134_346_581 + 64 * 21**2 + 8 * 21),
    ],
)
def test_numbers_learned(name, classes, channels, options, count):
    assert build(name, classes, channels, **options).parameter_count() == count


def test_where_deconvnets_numbers_are():
    net = build("deconvnet", 21)
    assert round(numbers_of(net, "fc6", "fc7", "fc6-deconv") / 1e6, 1) == 222.3
    assert len(net.batch_norms()) == 13 + 2 + 1 + 13


def test_where_segnet_basics_numbers_are():
    net = build("segnet-basic", 11)
    assert numbers_in(net, Conv2d, ConvTranspose2d) == 1_415_563
    assert numbers_in(net, BatchNorm2d) == 1_024


@pytest.mark.parametrize(("name", "blocks"), [("segnet", (3, 4, 5)), ("segnet-basic", (3, 4))])
def test_bayesian_segnet_drops_after_its_central_encoders_and_decoders(name, blocks):
    net, plain = build(name, 11, dropout=True), build(name, 11)
    assert set(net.dropouts()) == {f"{part}drop{i}" for part in ("enc", "dec") for i in blocks}
    assert all(layer.rate == 0.5 for layer in net.dropouts().values())
    inputs = {step.name: step.inputs for step in net.steps}
    for i in blocks:
        assert inputs[f"encdrop{i}"] == (f"pool{i}",)
        follower = f"conv{i + 1}_1" if name == "segnet" else f"conv{i + 1}"
        assert inputs.get(follower, (f"encdrop{i}",)) == (f"encdrop{i}",)
    deepest = blocks[-1]
    assert inputs[f"unpool{deepest}"] == (f"encdrop{deepest}", f"pool{deepest}.switches")
    assert inputs[f"unpool{blocks[0] - 1}"][0] == f"decdrop{blocks[0]}"
    assert list(net.parameters()) == list(plain.parameters())  # files of either fit


@pytest.mark.parametrize("name", ["deconvnet", "segnet", "fcn32s", "dilated-fcn"])
def test_the_encoders_are_vgg16(name):
    net = build(name, 21)
    convolutions = [f"conv{i}_{j}" for i, count in enumerate((2, 2, 3, 3, 3), 1) for j in range(1, count + 1)]
    assert numbers_of(net, *convolutions) == 14_714_688
    assert [s.name for s in net.steps if isinstance(s.layer, Conv2d) and s.name.startswith("conv")] == convolutions


def test_mobilenets_encoder():
    net = build("mobile-unet", 2)
    encoder = [s.name for s in net.steps if s.name.startswith(("conv1", "sep"))]
    assert numbers_of(net, *encoder) == 3_206_976


@pytest.mark.parametrize(
    ("name", "classes", "size", "gigaflops"), [("deconvnet", 21, (224, 224), 65.5), ("segnet", 11, (360, 480), 213.4)]
)
def test_work(name, classes, size, gigaflops):
    assert round(summarize(build(name, classes), size).flops / 1e9, 1) == gigaflops


@pytest.mark.parametrize(
    ("name", "size", "shapes"),
    [
        ("deconvnet", (224, 224), {"pool5": 7, "fc6": 1, "fc7": 1, "fc6-deconv": 7, "unpool5": 14, "deconv3_3": 56}),
        ("segnet", (360, 480), {"pool3": 45, "pool4": 23, "pool5": 12, "unpool5": 23, "unpool4": 45, "score": 360}),
        ("segnet-basic", (360, 480), {"pool4": 23, "unpool4": 45, "unpool3": 90, "score": 360}),
        ("fcn32s", (500, 500), {"conv1_1": 698, "pool5": 22, "fc6": 16, "score_fr": 16, "upscore": 544, "score": 500}),
        ("unet", (572, 572), {"conv1_2": 568, "conv5_2": 28, "up4": 56, "crop1": 392, "score": 388, "whole": 388}),
        ("unet-same", (512, 512), {"conv5_2": 32, "up4": 64, "score": 512}),
        ("dilated-fcn", (500, 500), {"pool3": 63, "conv5_3": 63, "fc7": 63, "score": 500}),
        ("mobile-unet", (224, 224), {"conv1": 112, "sep14_pointwise": 7, "cat1": 112, "score": 224}),
        ("sliding-window", (316, 316), {"conv6": 288, "fc7": 256, "score": 256}),
    ],
)
def test_heights_of_the_maps(name, size, shapes):
    found = build(name, 21).shapes(size)
    assert {step: found[step][1] for step in shapes} == shapes


def test_camvids_odd_size_comes_back_whole():
    assert build("segnet", 11).shapes((360, 480))["score"] == (1, 360, 480, 11)
