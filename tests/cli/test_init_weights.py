import numpy as np
import pytest

from scratchnet.interop.vgg16 import CONVOLUTIONS
from scratchnet.layers import UpsampleNearest
from scratchnet.models import MODELS, Model
from scratchnet.training import load_checkpoint
from tests.interop.handmade import write_legacy, write_safetensors
from tests.interop.test_vgg16 import narrow, weights

STILL = ["--model", "narrow", "--epochs", "1", "--batch-size", "2", "--learning-rate", "1e-30", "--optimizer", "sgd"]


def build_narrow(classes, channels=3):
    net = narrow(wide=None, classes=classes)
    net.add("whole", UpsampleNearest(32))
    return net


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    """A model with an encoder of VGG16's form, few filters wide."""
    monkeypatch.setitem(MODELS, "narrow", Model(build_narrow, (32, 32), "for tests"))


@pytest.fixture
def vgg16(tmp_path):
    return write_legacy(tmp_path / "vgg16.pth", weights(narrow()), first_version=True)


def test_training_starts_from_the_file_and_prepares_pixels_for_it(call, images, vgg16, tmp_path):
    out = tmp_path / "run"
    code, said, err = call("train", "--data", images, "--out", out, *STILL, "--init-weights", vgg16)
    assert (code, err) == (0, "")
    assert f"13 layers, conv1_1 to conv5_3, start from {vgg16}; pixels are prepared as for torchvision" in said
    stored = load_checkpoint(out / "checkpoint.npz")
    found, state = stored.network.parameters(), weights(narrow())
    for step, number in CONVOLUTIONS.items():
        w = state[f"features.{number}.weight"].transpose(2, 3, 1, 0)
        np.testing.assert_allclose(found[f"{step}.weight"].value, w, rtol=0, atol=1e-4)
    assert stored.spec.preprocessing.normalization == "torchvision"
    assert stored.spec.preprocessing.mean == (0.485, 0.456, 0.406)


def test_a_resumed_run_needs_the_file_no_more(call, images, vgg16, tmp_path):
    out = tmp_path / "run"
    assert call("train", "--data", images, "--out", out, *STILL, "--init-weights", vgg16)[0] == 0
    vgg16.unlink()
    code, said, err = call("train", "--out", out, "--resume", "--epochs", "2")
    assert (code, err) == (0, "")
    assert "resuming after epoch 1" in said
    assert "start from" not in said


def test_weights_from_caffe(call, images, vgg16, tmp_path):
    words = [*STILL, "--init-weights", vgg16, "--normalization", "caffe"]
    assert call("train", "--data", images, "--out", tmp_path / "run", *words)[0] == 0
    assert load_checkpoint(tmp_path / "run" / "checkpoint.npz").spec.preprocessing.normalization == "caffe"


@pytest.mark.parametrize(
    ("model", "change", "line"),
    [
        ("narrow", {}, "vgg16.pth: no such file; check the name"),
        ("bloodcell", {}, "vgg16.pth: this model's encoder is not VGG16's, it has no convolution conv1_1"),
        (
            "narrow",
            {"features.2.bias": np.zeros(7, np.float32)},
            "vgg16.pth: features.2 does not fit conv1_2: the bias",
        ),
    ],
)
def test_weights_that_cannot_be_used_stop_the_training_at_once(call, images, tmp_path, model, change, line):
    path = tmp_path / "vgg16.pth"
    if change:
        write_safetensors(path, weights(narrow()) | change)
    words = ["--model", model, "--init-weights", path]
    code, said, err = call("train", "--data", images, "--out", tmp_path / "run", *words)
    assert (code, said) == (2, "")
    assert line in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
