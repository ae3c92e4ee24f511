import re

import numpy as np
import pytest

from scratchnet.interop.vgg16 import CONVOLUTIONS, FULLY_CONNECTED, read_vgg16
from scratchnet.layers import Conv2d, MaxPool2d, ReLU
from scratchnet.models.blocks import conv_relu
from scratchnet.network import Network
from scratchnet.utils.errors import UserError
from tests.compare import numbers
from tests.interop.handmade import write_legacy, write_safetensors

NUMBERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def narrow(wide=(5, 4), kernel=(2, 1), names=CONVOLUTIONS, classes=2):
    """VGG16's list with 2 to 4 filters a layer and, if wanted, fc6 and fc7."""
    net = Network(3, stride=32)
    last = 3
    for name in names:
        conv_relu(net, name, last, int(name[4]) // 2 + 2, batch_norm=False)
        last = int(name[4]) // 2 + 2
        if name in ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"):
            net.add(f"pool{name[4]}", MaxPool2d(2))
    if wide:
        net.add("fc6", Conv2d(last, wide[0], kernel))
        net.add("fc7", Conv2d(wide[0], wide[1], 1))
    net.add("score", Conv2d(wide[1] if wide else last, classes, 1))
    return net


def weights(net, kernel=(2, 1)):
    """A state dict with torchvision's names and layouts for ``narrow``."""
    found = {}
    layers = {step.name: step.layer for step in net.steps}
    for step, number in zip(CONVOLUTIONS, NUMBERS, strict=True):
        kh, kw, c_in, c_out = layers[step].parameters["weight"].shape
        found[f"features.{number}.weight"] = numbers(c_out, c_in, kh, kw, seed=number, dtype=np.float32)
        found[f"features.{number}.bias"] = numbers(c_out, seed=number, dtype=np.float32)
    for number, (c_in, c_out) in {0: (4 * kernel[0] * kernel[1], 5), 3: (5, 4), 6: (4, 1000)}.items():
        found[f"classifier.{number}.weight"] = numbers(c_out, c_in, seed=40 + number, dtype=np.float32)
        found[f"classifier.{number}.bias"] = numbers(c_out, seed=40 + number, dtype=np.float32)
    return found


def values(net):
    return {name: parameter.value.copy() for name, parameter in net.parameters().items()}


def test_the_indices_of_torchvision_s_layers():
    """Convolution, ReLU, …, with one pooling behind each block."""
    count, expected = 0, []
    for step in narrow(wide=None).steps[:-1]:
        if isinstance(step.layer, Conv2d):
            expected.append((step.name, count))
        assert isinstance(step.layer, (Conv2d, ReLU, MaxPool2d))
        count += 1
    assert list(CONVOLUTIONS.items()) == expected
    assert count == 31


def test_every_layer_starts_from_its_own_weights(tmp_path):
    net = narrow().allocate(0)
    start = read_vgg16(write_legacy(tmp_path / "vgg16.pth", weights(net), first_version=True), narrow())
    assert start.steps == (*CONVOLUTIONS, *FULLY_CONNECTED)
    assert start.left_out == ()
    before = values(net)
    start.apply(net)
    stored, after = weights(net), values(net)
    for step, number in CONVOLUTIONS.items():
        np.testing.assert_array_equal(after[f"{step}.bias"], stored[f"features.{number}.bias"])
        w = stored[f"features.{number}.weight"]
        assert after[f"{step}.weight"][2, 0, 1, 1] == w[1, 1, 2, 0]
    for name in ("score.weight", "score.bias"):
        np.testing.assert_array_equal(after[name], before[name])


def test_the_same_classification_as_in_pytorch(tmp_path):
    """The 64×32 image becomes a map of 2×1 pixels, which fc6 sees as a whole."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    net = narrow().allocate(0).eval()
    state = weights(net)
    layers = []
    for step in net.steps[:-3]:
        if isinstance(step.layer, Conv2d):
            layers.append(nn.Conv2d(*step.layer.channels, 3, padding=1))
        else:
            layers.append(nn.ReLU() if isinstance(step.layer, ReLU) else nn.MaxPool2d(2))
    features = nn.Sequential(*layers)
    classifier = nn.Sequential(nn.Linear(8, 5), nn.Identity(), nn.Identity(), nn.Linear(5, 4), nn.Linear(4, 1000))
    module = nn.ModuleDict({"features": features, "classifier": classifier})
    tensors = {name.replace("classifier.6", "classifier.4"): torch.tensor(array) for name, array in state.items()}
    module.load_state_dict(tensors)
    x = numbers(2, 64, 32, 3, seed=7, dtype=np.float32)
    with torch.no_grad():
        y = classifier[:4](features(torch.tensor(x.transpose(0, 3, 1, 2))).flatten(1)).numpy()
    read_vgg16(write_safetensors(tmp_path / "vgg16.safetensors", state), net).apply(net)
    made = dict(net.walk(x))["fc7"]
    np.testing.assert_allclose(made[:, 0, 0], y, rtol=0, atol=1e-5 * np.abs(y).max())


def test_other_floating_point_types_are_converted(tmp_path):
    net = narrow(wide=None).allocate(0)
    state = {name: array.astype(np.float16) for name, array in weights(net).items()}
    read_vgg16(write_safetensors(tmp_path / "half.safetensors", state), net).apply(net)
    np.testing.assert_array_equal(values(net)["conv4_2.bias"], state["features.19.bias"].astype(np.float32))


def test_fully_connected_layers_that_cannot_start(tmp_path):
    """Their shapes depend on the image's size, and files of features alone leave them out."""
    net = narrow()
    state = weights(net)
    start = read_vgg16(write_safetensors(tmp_path / "a", state), narrow(kernel=(1, 1)))
    assert start.steps == (*CONVOLUTIONS, "fc7")
    assert start.left_out == ("fc6 starts at random: the weight in the file is 1×1×8×5, the model's is 1×1×4×5",)
    features = {name: array for name, array in state.items() if name.startswith("features")}
    start = read_vgg16(write_safetensors(tmp_path / "b", features), net)
    assert start.left_out == (
        "fc6 starts at random: the file has no classifier.0",
        "fc7 starts at random: the file has no classifier.3",
    )
    assert not any(name.startswith("fc") for name in start.values)


def without(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


def with_(**changed):
    return lambda state: state | {name.replace("_", "."): value for name, value in changed.items()}


WRONG = {
    "no bias": (without("features.7.bias"), "holds no 'features.7.bias', but features.0.weight, "),
    "no names": (lambda state: {}, "holds no 'features.0.weight', but no named tensors"),
    "another width": (
        with_(features_5_weight=np.zeros((3, 9, 3, 3), np.float32)),
        "features.5 does not fit conv2_1: the weight in the file is 3×3×9×3, the model's is 3×3×2×3",
    ),
    "a bias of another length": (
        with_(features_5_bias=np.zeros(4, np.float32)),
        "features.5 does not fit conv2_1: the bias in the file is 4, the model's is 3",
    ),
    "a flat weight": (
        with_(features_5_weight=np.zeros(54, np.float32)),
        "features.5 does not fit conv2_1: the weight in the file is 54, the model's is 3×3×2×3",
    ),
    "whole numbers": (
        with_(features_5_bias=np.zeros(3, np.int64)),
        "'features.5.bias' is of type int64; expected floating-point numbers",
    ),
    "not finite": (
        with_(classifier_0_bias=np.full(5, np.nan, np.float32)),
        "the weights for fc6.bias contain infinite or NaN values",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_files_that_do_not_hold_vgg16(tmp_path, case):
    change, words = WRONG[case]
    net = narrow()
    path = write_safetensors(tmp_path / "w", change(weights(net)))
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        read_vgg16(path, net)
    assert str(caught.value).startswith(f"{path}: ")


def test_models_without_such_an_encoder(tmp_path):
    short = [name for name in CONVOLUTIONS if name != "conv3_3"]
    with pytest.raises(UserError, match="encoder is not VGG16's, it has no convolution conv3_3"):
        read_vgg16(tmp_path / "not even read", narrow(names=short))
