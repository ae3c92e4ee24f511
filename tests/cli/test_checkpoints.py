"""Commands that take a checkpoint also take the name of a network in the box."""

from importlib.util import find_spec

import numpy as np
import pytest

from scratchnet.data import read_mask, write_image
from scratchnet.networks import network_origin
from scratchnet.training import load_checkpoint
from tests.tiny import sample, write_set

ORIGIN = f"nuclei: {network_origin('nuclei')}\n"


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """Work in an empty folder with one image."""
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "photo.png", sample(0, 32, 48)[0])
    return tmp_path / "photo.png"


def test_the_flag_and_the_first_word_name_the_same_network(call, photo, tmp_path):
    for words, out in ((["photo.png", "--model", "nuclei"], "a"), (["nuclei", "photo.png"], "b")):
        code, said, err = call("segment", *words, "--out", out)
        assert (code, err, said.count(ORIGIN)) == (0, "", 1)
    np.testing.assert_array_equal(read_mask(tmp_path / "a/photo.png"), read_mask(tmp_path / "b/photo.png"))


@pytest.mark.parametrize(
    "words",
    [
        ["explain", "nuclei", "photo.png", "--out", "page.html"],
        ["data", "suggest", "nuclei", "photo.png", "--uncertainty", "2"],
        ["segment", "nuclei", "photo.png", "--ensemble", "nuclei", "--out", "masks"],
        *([["measure", "nuclei", "photo.png", "--out", "a.csv"]] if find_spec("skimage") else []),
        *([["measure", "--model", "nuclei", "photo.png", "--out", "a.csv"]] if find_spec("skimage") else []),
        *([["export", "nuclei", "a.onnx"]] if find_spec("onnx") else []),
    ],
    ids=" ".join,
)
def test_every_command_takes_the_name(call, photo, words):
    code, said, err = call(*words)
    assert (code, err) == (0, "")
    assert ORIGIN in said


@pytest.mark.parametrize(
    "words",
    [
        ["segment", "broken.png", "--model", "nuclei", "--out", "masks"],
        ["segment", "missing.png", "--model", "nuclei", "--out", "masks"],
        ["segment", "photo.png", "--model", "nuclei", "--out", "masks", "--proposals", "nowhere.csv"],
        ["explain", "nuclei", "broken.png", "--out", "page.html"],
        ["data", "suggest", "nuclei", "broken.png", "--uncertainty", "2"],
        ["evaluate", "nuclei", "--data", "."],
        *([["measure", "--model", "nuclei", "broken.png", "--out", "a.csv"]] if find_spec("skimage") else []),
    ],
    ids=" ".join,
)
def test_an_error_stands_alone(call, photo, words):
    (photo.parent / "broken.png").write_bytes(photo.read_bytes()[:60])
    code, said, err = call(*words)
    assert (code, said, err.count("\n")) == (2, "", 1)


def test_models_lists_the_box_and_prints_the_card(call):
    assert f"nuclei           {network_origin('nuclei')}\n" in call("models")[1]
    code, said, _ = call("models", "nuclei")
    assert code == 0
    assert said.startswith("# nuclei\n")
    assert "483,682" in said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["segment", "nuclie", "photo.png", "--out", "o"], "nuclie: no such checkpoint"),
        (["segment", "photo.png", "--model", "nuclie", "--out", "o"], "the networks in the box are nuclei"),
        (["segment", "photo.png", "--out", "o"], "photo.png: is an image, and no checkpoint is named"),
        (["segment", "a.npz", "photo.png", "--model", "nuclei", "--out", "o"], "not with the checkpoint a.npz"),
        (["segment", "--model", "nuclei", "--out", "o"], "IMAGE… missing"),
        (["evaluate", "nuclie", "--data", "."], "the networks in the box are nuclei"),
        (["train", "--data", "set", "--start-from", "nuclie", "--no-plan", "--out", "r"], "in the box are nuclei"),
    ],
)
def test_mistakes_are_one_line(call, photo, tmp_path, words, named):
    write_set(tmp_path / "set")
    code, _, err = call(*words)
    assert (code, err.count("\n")) == (2, 1)
    assert named in err


@pytest.mark.skipif(not find_spec("skimage"), reason="needs scikit-image")
def test_measure_does_not_guess_between_a_folder_of_masks_and_the_box(call, photo, tmp_path):
    (tmp_path / "nuclei").mkdir()
    code, _, err = call("measure", "nuclei", "photo.png", "--out", "a.csv")
    assert (code, err.count("\n")) == (2, 1)
    assert "write ./nuclei, or --model nuclei" in err


@pytest.mark.parametrize("plan", ["--plan", "--no-plan"])
def test_a_training_that_starts_from_the_box_has_its_network(call, photo, tmp_path, plan):
    write_set(tmp_path / "set")
    words = ["--epochs", "1", "--learning-rate", "1e-9", "--no-recalibrate"]
    code, said, err = call("train", "--data", "set", "--start-from", "nuclei", plan, *words, "--out", "run")
    assert (code, err) == (0, "")
    assert "483,682 of 483,682 parameters start from nuclei\n" + ORIGIN in said
    trained, box = (load_checkpoint(name).network.flat().values for name in ("run/checkpoint.npz", "nuclei"))
    np.testing.assert_allclose(trained, box, atol=1e-3)
