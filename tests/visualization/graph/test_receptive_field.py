import numpy as np
import pytest

from scratchnet.layers import (
    Add,
    BedOfNails,
    BilinearTranspose2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    ReLU,
    UpsampleBilinear,
    UpsampleNearest,
)
from scratchnet.models import MODELS
from scratchnet.models import build as build_model
from scratchnet.network import Network
from scratchnet.visualization.graph.connectivity import pixel_grids
from scratchnet.visualization.graph.receptive_field import Rectangle, projective_fields, receptive_fields
from tests.layer_cases import CASES

LAYERS = {
    "conv": [Conv2d(2, 3, (3, 2), padding=1)],
    "strided": [Conv2d(2, 3, 3, 2, 1), Conv2d(3, 3, 3, (1, 2))],
    "dilated": [Conv2d(2, 3, (3, 2), padding=2, dilation=(3, 4)), Conv2d(3, 3, 2, dilation=2)],
    "gaps": [Conv2d(2, 3, 1, 3, 1), ConvTranspose2d(3, 3, 2, 3, dilation=2)],
    "deconv": [Conv2d(2, 3, 2, 2), ConvTranspose2d(3, 3, 4, 2, 1), ConvTranspose2d(3, 3, 3, padding=(1, 0))],
    "dilated deconv": [ConvTranspose2d(2, 3, 2, (2, 1), dilation=(3, 2))],
    "repeat": [Conv2d(2, 2, 3, (2, 3)), UpsampleNearest((2, 3)), Conv2d(2, 2, 2)],
    "nails": [Conv2d(2, 2, 3, 2), BedOfNails(2), Conv2d(2, 2, 2)],
    "bilinear 2": [Conv2d(2, 2, 3, 2), UpsampleBilinear(2)],
    "bilinear 3": [Conv2d(2, 2, 3, 2), UpsampleBilinear((3, 1))],
    "bilinear deconv": [Conv2d(2, 2, 3, 2), BilinearTranspose2d(3)],
    "pad": [Pad((3, 0)), Conv2d(2, 2, 2, 3)],
    "pool": [Conv2d(2, 6, 2), MaxPool2d(3, 2, 1), MaxPool2d(2, ceil_mode=True)],
}


def chain(layers):
    """A network of layers one after the other."""
    net = Network(2)
    for i, layer in enumerate(layers):
        net.add(f"layer{i}", layer)
    return net


def hourglass():
    """A pooling, an unpooling with switches, a cropped skip and an added skip."""
    net = Network(2)
    net.add("conv1", Conv2d(2, 8, 3, padding=1))
    net.add("pool1", MaxPool2d(2, ceil_mode=True))
    net.add("conv2", Conv2d(8, 8, 3))
    net.add("pad2", Pad(1))
    net.add("unpool1", MaxUnpool2d(), "pad2", "pool1.switches")
    net.add("deconv1", ConvTranspose2d(8, 8, 3))
    net.add("cut", Crop(), "deconv1", "input")
    net.add("sum", Add(), "cut", "conv1")
    net.add("both", Concatenate(), "sum", "input")
    net.add("score", Conv2d(10, 2, 2))
    return net


def gradient(net, size, pixel, draws):
    """Pixels with a nonzero gradient of one output pixel with respect to the image, in any of several images."""
    seen = np.zeros(size, bool)
    for seed in range(draws):
        net.allocate(seed, np.float64).eval()
        y = net.forward(np.random.default_rng(seed).standard_normal((1, *size, net.channels)), keep=True)
        dy = np.zeros_like(y)
        dy[0, *pixel] = np.random.default_rng(seed).standard_normal(y.shape[3])
        seen |= (net.backward(dy, needs_input_grad=True) != 0).any(axis=(0, 3))
    return seen


def around(seen):
    """The smallest rectangle around marked pixels, or None without any."""
    rows, columns = seen.any(axis=1).nonzero()[0], seen.any(axis=0).nonzero()[0]
    return Rectangle(rows[0], columns[0], rows[-1] + 1, columns[-1] + 1) if len(rows) else None


@pytest.mark.parametrize("kind", [*LAYERS, "hourglass"])
def test_the_field_is_where_the_gradient_is(kind):
    net, size = hourglass() if kind == "hourglass" else chain(LAYERS[kind]), (13, 15)
    last = net.steps[-1].name
    _, h, w, _ = net.shapes(size)[last]
    for pixel in {(0, 0), (h - 1, w - 1), (h // 2, w // 2), (h // 2, w // 3), (h // 3, w - 2), (1, w // 2 + 1)}:
        seen = gradient(net, size, pixel, draws=40 if kind in ("pool", "hourglass") else 2)
        assert receptive_fields(net, size, last, pixel).get("input") == around(seen), pixel


@pytest.mark.parametrize(
    "case", [case for case, make in CASES.items() if not any(s.layer.uses_image_statistics for s in make().steps)]
)
def test_the_field_of_every_layer_is_where_the_gradient_is(case):
    """If a layer fails here, its ``windows`` (in its file of ``scratchnet/layers``) do not fit its ``forward``."""
    net, size = CASES[case](), (9, 7)
    last, draws = net.steps[-1].name, 40 if "pool" in case else 2
    _, h, w, _ = net.shapes(size)[last]
    for pixel in ((0, 0), (h // 2, w // 3), (h - 1, w - 1)):
        seen = gradient(net, size, pixel, draws)
        assert receptive_fields(net, size, last, pixel).get("input") == around(seen), pixel


def test_values_between_and_what_sees_nothing_but_padding():
    net = chain([ReLU(), Pad(5), Conv2d(2, 2, 3)])
    fields = receptive_fields(net, (9, 9), "layer2", (4, 6))
    assert fields == {
        "layer2": Rectangle(4, 6, 5, 7),
        "layer1": Rectangle(4, 6, 7, 9),
        "layer0": Rectangle(0, 1, 2, 4),
        "input": Rectangle(0, 1, 2, 4),
    }
    assert list(receptive_fields(net, (9, 9), "layer2", (0, 6))) == ["layer1", "layer2"][::-1]


def test_forward_and_back_are_each_other_s_mirror():
    net, size = hourglass(), (9, 10)
    shapes = net.shapes(size)
    for name in ("pool1", "unpool1", "score"):
        for pixel in np.ndindex(shapes[name][1:3]):
            inside = receptive_fields(net, size, name, pixel)["input"]
            for corner in ((inside.top, inside.left), (inside.bottom - 1, inside.right - 1)):
                reached = projective_fields(net, size, "input", corner)[name]
                assert reached.top <= pixel[0] < reached.bottom
                assert reached.left <= pixel[1] < reached.right
    assert "cut" not in projective_fields(net, size, "both", (3, 3))


def test_a_formula_for_chains_of_windows():
    """1 + Σ (k − 1)·d·j, far from the border."""
    net = build_model("sliding-window", 2, width=0.1)
    field = receptive_fields(net, (100, 100), "score", (20, 20))["input"]
    assert field == Rectangle(20, 20, 81, 81)
    vgg = build_model("fcn32s", 2, width=0.02, padding="same")
    field = receptive_fields(vgg, (800, 800), "pool5", (12, 12))["input"]
    assert (field.bottom - field.top, field.right - field.left) == (212, 212)


@pytest.mark.parametrize("name", MODELS)
def test_outputs_lie_over_the_image(name):
    """Pixel (i, j) of the score is at pixel (i, j) of the image, minus the valid margin."""
    model = MODELS[name]
    net, size = build_model(name, 2), model.size
    rows, columns = pixel_grids(net, size)[net.steps[-1].name]
    for axis in (rows, columns):
        assert axis.jump == 1
        assert axis.start == pytest.approx(net.valid_margin, abs=0.5)


@pytest.mark.parametrize(
    ("name", "pixel", "said"),
    [("pool7", (0, 0), "the network has no value 'pool7'"), ("pool1", (7, 0), "'pool1' has 7×8 pixels; row 7")],
)
def test_what_is_not_there(name, pixel, said):
    with pytest.raises(ValueError, match=said):
        receptive_fields(hourglass(), (13, 15), name, pixel)
