import tracemalloc

import numpy as np
import pytest

from scratchnet.layers import Conv2d, ConvTranspose2d, MaxUnpool2d, ReLU
from scratchnet.models import MODELS, build
from scratchnet.network.summary import summarize
from scratchnet.utils.errors import UserError
from tests.compare import numbers

# Every registered model, made small, and two sizes that it labels, odd where it takes any.
FCN = {"width": 1 / 64, "padding": "same"}
SMALL = {
    "bloodcell": [({"width": 0.1}, (16, 32)), ({"width": 0.1, "unpool": "switches", "batch_norm": True}, (48, 16))],
    "deconvnet": [({"width": 1 / 64, "size": 32}, (32, 32)), ({"width": 1 / 64, "size": 64}, (64, 64))],
    "deconvnet-small": [
        ({"width": 2, "size": 32}, (32, 32)),
        ({"width": 2, "size": 48, "unpool": "nearest"}, (48, 48)),
    ],
    "segnet": [
        ({"width": 1 / 32}, (45, 23)),
        ({"width": 1 / 32, "unpool": "nearest"}, (33, 66)),
        ({"width": 1 / 16, "dropout": True}, (33, 66)),
    ],
    "segnet-basic": [
        ({"width": 1 / 16}, (45, 23)),
        ({"width": 1 / 16, "unpool": "transposed"}, (17, 34)),
        ({"width": 1 / 8, "dropout": True}, (45, 23)),
    ],
    "squares": [({"width": 4}, (16, 12)), ({"width": 4}, (8, 20))],
    "fcn32s": [({"width": 1 / 64}, (9, 5)), (FCN | {"upsampling": "learned"}, (37, 66))],
    "fcn16s": [({"width": 1 / 64}, (9, 5)), (FCN | {"upsampling": "paper", "batch_norm": True}, (37, 66))],
    "fcn8s": [({"width": 1 / 64}, (9, 5)), (FCN | {"at_once": True}, (37, 66))],
    "unet": [({"width": 1 / 32}, (5, 9)), ({"width": 1 / 16, "depth": 2, "batch_norm": True}, (33, 18))],
    "unet-same": [({"width": 1 / 32}, (45, 23)), ({"width": 1 / 16, "depth": 2, "dropout": False}, (33, 18))],
    "dilated-fcn": [({"width": 1 / 64}, (15, 11)), ({"width": 1 / 64}, (33, 18))],
    "mobile-unet": [({"width": 1 / 16}, (45, 23)), ({"width": 1 / 16}, (33, 66))],
    "sliding-window": [({"width": 1 / 16}, (5, 9)), ({"width": 1 / 16}, (1, 17))],
}
CASES = [(name, options, size) for name, cases in SMALL.items() for options, size in cases]


def convolution_numbers(net):
    return sum(
        p.size
        for step in net.steps
        if isinstance(step.layer, (Conv2d, ConvTranspose2d))
        for p in step.layer.parameters.values()
    )


def framed(net, size):
    """The size of the input that makes an output of ``size``."""
    return tuple(v + 2 * net.valid_margin for v in size)


def stirred(net, dtype=np.float32):
    """Give a network weights that are nowhere 0, as FCN's scores are at the start."""
    net.allocate(0, dtype)
    net.flat().values[...] += numbers(net.parameter_count(), seed=3, dtype=dtype) * dtype(0.05)
    return net


@pytest.mark.parametrize(("name", "options", "size"), CASES)
@pytest.mark.parametrize("classes", [2, 5])
def test_models_make_scores_of_the_images_size(name, options, size, classes):
    net = stirred(build(name, classes, 3, **options))
    x = numbers(3, *framed(net, size), 3, dtype=np.float32)
    y = net.train().forward(x)
    scores = 1 if name == "bloodcell" and classes == 2 else classes
    assert y.shape == (3, *size, scores)
    assert net.shapes(framed(net, size), 3)[net.steps[-1].name] == y.shape
    assert np.isfinite(y).all()
    net.backward(numbers(*y.shape, seed=1, dtype=np.float32))
    for key, parameter in net.parameters().items():
        if parameter.kind != "bias" or key == "score.bias":  # batch norm takes a bias in front of it out again
            assert parameter.grad.any(), key
    assert net.eval().forward(x[:1]).shape == (1, *size, scores)


@pytest.mark.parametrize("name", MODELS)
def test_models_take_other_numbers_of_channels(name):
    options, size = SMALL[name][0]
    net = build(name, 2, 1, **options).allocate(0).eval()
    assert net.forward(np.zeros((1, *framed(net, size), 1), np.float32)).shape[:3] == (1, *size)


@pytest.mark.parametrize("name", MODELS)
def test_models_take_the_size_they_were_made_for_without_allocating(name):
    tracemalloc.start()
    try:
        net = build(name, 2)
        summary = summarize(net, MODELS[name].size)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert framed(net, summary.rows[-1].shape[1:3]) == MODELS[name].size
    assert peak < 1e6


@pytest.mark.parametrize(("name", "options", "size"), CASES)
def test_the_stride_of_a_model_is_what_its_sizes_must_be_multiples_of(name, options, size):
    net = build(name, 2, **options)
    assert all(v % net.stride == 0 for v in size)
    assert net.fixed_size in (None, size)
    if net.fixed_size is None:
        net.allocate().eval()
        low = net.stride
        assert net.forward(np.zeros((1, *framed(net, (low, low)), 3), np.float32)).shape[1:3] == (low, low)


@pytest.mark.parametrize(("name", "options", "size"), CASES)
def test_both_precisions_agree(name, options, size):
    """Odd maps, views and crops go through the fast forms in float32 and through the plain ones in float64."""
    small, large = (stirred(build(name, 3, **options), dtype).eval() for dtype in (np.float32, np.float64))
    large.flat().values[...] = small.flat().values
    x = numbers(2, *framed(small, size), 3, dtype=np.float32)
    expected = large.forward(x.astype(np.float64))
    np.testing.assert_allclose(small.forward(x), expected, rtol=0, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5), (31, 33), (40, 29)])
@pytest.mark.parametrize("name", [name for name in MODELS if build(name, 2).stride == 1])
def test_models_without_a_stride_label_images_of_any_size(name, size):
    net = build(name, 2, **SMALL[name][-1][0])
    assert net.shapes(framed(net, size))[net.steps[-1].name] == (1, *size, 2)


@pytest.mark.parametrize(("unpool", "count"), [("nearest", 738_977), ("switches", 739_233)])
def test_the_blood_cell_net_has_the_counted_numbers(unpool, count):
    net = build("bloodcell", 2, unpool=unpool)
    assert net.parameter_count() == count
    shapes = net.shapes((128, 128))
    assert shapes["conv5"] == (1, 8, 8, 160)
    assert shapes["pool4"] == (1, 8, 8, 128)
    assert shapes["score"] == (1, 128, 128, 1)


def test_the_two_blood_cell_nets_unpool_in_their_own_order():
    nearest = [step.name for step in build("bloodcell", 2).steps if "conv4" in step.name or "pool4" in step.name]
    assert nearest == ["conv4", "conv4_relu", "pool4", "unpool4", "deconv4", "deconv4_relu"]
    switches = build("bloodcell", 2, unpool="switches")
    assert [s.name for s in switches.steps][-4:] == ["deconv1", "deconv1_relu", "unpool1", "score"]
    unpools = [step for step in switches.steps if isinstance(step.layer, MaxUnpool2d)]
    assert [step.inputs[1] for step in unpools] == [f"pool{i}.switches" for i in (4, 3, 2, 1)]


def test_the_squares_net_has_the_counted_numbers():
    net = build("squares", 2)
    assert convolution_numbers(net) == 611_906
    assert net.parameter_count() == 611_906 + 4 * 2 * 64
    assert net.shapes((512, 512))["pool2"] == (1, 128, 128, 64)


def test_the_decoder_of_the_squares_net_has_no_relu():
    names = [step.name for step in build("squares", 2).steps if isinstance(step.layer, ReLU)]
    assert names == ["conv1_relu", "conv2_relu"]


def test_deconvnet_small_mirrors_itself():
    net = build("deconvnet-small", 3, size=64, width=8)
    shapes = net.shapes((64, 64))
    assert shapes["fc6"] == shapes["fc7"] == (1, 1, 1, 128)
    assert shapes["fc6-deconv"] == shapes["pool4"] == (1, 4, 4, 64)
    for i in (1, 2, 3, 4):
        assert shapes[f"unpool{i}"] == shapes[f"conv{i}_2_relu"]
    assert shapes["score"] == (1, 64, 64, 3)
    with pytest.raises(ValueError, match="step 'fc6': a window of 4 does not fit into a map of 3"):
        net.shapes((48, 48))  # fc6's kernel is larger than the last map


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        (
            "segment",
            {},
            "model 'segment' does not exist; did you mean segnet.; choose one of: bloodcell",
        ),
        ("bloodcell", {"unpool": "no"}, "model 'bloodcell': unpool is 'no'; expected one of: nearest, switches"),
        ("unet", {"depth": 9}, "model 'unet': depth is 9; expected 1 to 8 pools"),
        ("deconvnet", {"size": 200}, "model 'deconvnet': size is 200; expected a multiple of 32"),
        ("squares", {"unpool": "nearest"}, "model 'squares' has no option 'unpool'; its options are: width"),
        ("deconvnet-small", {"size": 50}, "size is 50; expected a multiple of 16, at least 32"),
        ("deconvnet-small", {"size": 16}, "size is 16; expected a multiple of 16, at least 32"),
    ],
)
def test_settings_that_do_not_fit_are_user_errors(name, options, text):
    with pytest.raises(UserError, match=text):
        build(name, 2, **options)


def test_options_are_listed_with_their_defaults():
    assert MODELS["bloodcell"].options() == {"batch_norm": False, "unpool": "nearest", "width": 1.0}
    assert MODELS["squares"].options() == {"width": 64}
