"""Every step of the page's engine, compared with the library."""

import numpy as np
import pytest

from scratchnet.layers import (
    Add,
    BatchNorm2d,
    BedOfNails,
    BilinearTranspose2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    GroupNorm,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    ReLU,
    Scale,
    UpsampleBilinear,
    UpsampleNearest,
)
from scratchnet.layers.builtin import BUILTIN
from scratchnet.models import build
from scratchnet.network import Network
from scratchnet.visualization.live.steps import WRITERS
from tests.visualization.live.comparing import compare, settled

LIMIT = 1e-4


def assert_agrees(found):
    assert found["gap"] < 1e-5
    far = {name: difference for name, difference in found["steps"] if not difference <= LIMIT}
    assert not far
    assert found["probabilities"] <= LIMIT


def noise(size, channels=3, seed=1):
    return np.random.default_rng(seed).normal(0, 1, (1, *size, channels)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("deconvnet-small", (32, 32), {"width": 8, "size": 32}),
        ("unet-same", (37, 30), {"width": 0.1}),
        ("segnet-basic", (30, 45), {"width": 0.2}),
        ("fcn8s", (40, 50), {"width": 0.03}),
        ("bloodcell", (32, 48), {"width": 0.3}),
        ("bloodcell", (32, 48), {"width": 0.3, "unpool": "switches"}),
        ("mobile-unet", (32, 32), {"width": 0.1}),
    ],
)
def test_every_step_of_a_model(name, size, options, tmp_path):
    net = settled(build(name, 3, **options).allocate(0))
    assert_agrees(compare(net, noise(size), tmp_path))


def rare():
    """Settings and layers that no model has."""
    net = Network(3)
    net.add("pad", Pad((1, 2)))
    net.add("grouped", Conv2d(3, 9, (3, 2), (1, 2), (2, 1), (2, 1), groups=3, bias=False))
    net.add("leaky", LeakyReLU(0.1))
    net.add("gn", GroupNorm(9, 3))
    net.add("pool", MaxPool2d(3, 2, 1, ceil_mode=True))
    net.add("scale", Scale(0.7))
    net.add("lrn", LocalResponseNorm(3, 0.1))
    net.add("wide", ConvTranspose2d(9, 9, (4, 3), (2, 3), (1, 0), (1, 0), groups=3, dilation=(1, 2)))
    net.add("narrow", ConvTranspose2d(9, 9, 2, 2, bias=False), "lrn")
    net.add("cut", Crop(0), "wide", "scale")
    net.add("cut2", Crop(None), "narrow", "scale")
    net.add("sum", Add(), "cut", "cut2", "scale")
    net.add("unpool", MaxUnpool2d(), "sum", "pool.switches")
    net.add("nails", BedOfNails((2, 3)), "scale")
    net.add("blend", UpsampleBilinear((2, 3)), "scale")
    net.add("tent", BilinearTranspose2d(3), "scale")
    net.add("repeat", UpsampleNearest((2, 3)), "scale")
    net.add("tent_cut", Crop((1, 2)), "tent", "nails")
    net.add("both", Concatenate(), "nails", "blend", "tent_cut", "repeat")
    net.add("drop", Dropout(0.5))
    net.add("bn", BatchNorm2d(36))
    net.add("relu", ReLU())
    net.add("score", Conv2d(36, 1, 1))
    return settled(net.allocate(3))


def test_every_layer_and_setting(tmp_path):
    net = rare()
    used = {type(step.layer) for step in net.steps}
    assert set(WRITERS) <= set(BUILTIN)
    assert {cls.__name__ for cls in set(WRITERS) - used} == {"SyncBatchNorm2d"}  # computes as BatchNorm2d
    assert_agrees(compare(net, noise((14, 23)), tmp_path))
    net.use_statistics("batch")
    assert_agrees(compare(net, noise((14, 23)), tmp_path))


def test_float16_weights_are_the_rounded_ones(tmp_path):
    net, rounded = (settled(build("bloodcell", 3, width=0.2).allocate(0)) for _ in range(2))
    for parameter in rounded.parameters().values():
        if parameter.value.ndim == 4:
            parameter.value[:] = parameter.value.astype(np.float16)
    assert_agrees(compare(net, noise((32, 32)), tmp_path, "float16", rounded))


def test_unpooling_by_other_rules(tmp_path):
    """The same weights with other unpoolings, in the page and in the library."""

    def small(enlarge):
        net = Network(3)
        net.add("conv", Conv2d(3, 4, 3, padding=1))
        net.add("pool", MaxPool2d(2))
        enlarge(net)
        net.add("score", Conv2d(4, 2, 3, padding=1))
        return settled(net.allocate(0))

    def switches(net):
        net.add("unpool", MaxUnpool2d(), "pool", "pool.switches")

    for mode, layer in (("nearest", UpsampleNearest(2)), ("nails", BedOfNails(2))):
        expected = small(lambda net, layer=layer: net.add("unpool", layer))
        assert_agrees(compare(small(switches), noise((8, 10)), tmp_path, expected=expected, modes={"unpool": mode}))
    expected = small(lambda net: net.add("unpool", BedOfNails(2)))
    repeats = small(lambda net: net.add("unpool", UpsampleNearest(2)))
    assert_agrees(compare(repeats, noise((8, 10)), tmp_path, expected=expected, modes={"unpool": "nails"}))
