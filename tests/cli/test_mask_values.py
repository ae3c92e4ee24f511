"""``--mask-values`` in every command that reads masks."""

import csv

import numpy as np
import pytest
from PIL import Image

from scratchnet.config import read_settings
from scratchnet.data import read_mask

VALUES = ("--mask-values", "0=0", "200=1")


@pytest.fixture
def grey(images):
    """The set with masks of 0 and 200, and without names of classes."""
    (images / "classes.txt").unlink()
    for path in (images / "masks").iterdir():
        mask = read_mask(path)
        Image.fromarray((200 * mask).astype(np.uint8)).save(path)
    return images


def test_train_and_evaluate(train, call, grey, tmp_path):
    code, _, err = train(grey, tmp_path / "run", *VALUES)
    assert (code, err) == (0, "")
    assert read_settings(str(tmp_path / "run" / "config.toml")).data.mask_values == ("0=0", "200=1")
    words = ("evaluate", tmp_path / "run" / "checkpoint.npz", "--data", grey, "--out", tmp_path / "out")
    code, said, _ = call(*words)
    assert code == 0
    assert call(*words, *VALUES)[1] == said
    swapped = call(*words, "--mask-values", "0=1", "200=0")
    assert swapped[0] == 0
    assert swapped[1] != said
    code, _, err = call(*words, "--mask-format", "index")
    assert code == 2
    assert "--mask-values 0=0 200=1" in err


def test_check_weights_and_comparison_of_masks(call, grey, tmp_path):
    code, said, _ = call("data", "check", grey, *VALUES)
    assert code == 0
    assert "class 1" in said
    assert call("data", "weights", grey, *VALUES)[0] == 0
    words = ("evaluate", "--data", grey, "--masks", grey / "masks", "--out", tmp_path / "out", "--json")
    code, said, _ = call(*words, *VALUES)
    assert code == 0
    assert '"mean_iou": 1.0' in said


def test_measure(call, grey, tmp_path):
    pytest.importorskip("skimage")
    assert call("measure", grey / "masks", "--out", tmp_path / "t.csv", *VALUES)[0] == 0
    with (tmp_path / "t.csv").open(encoding="utf-8") as file:
        assert {row["class"] for row in csv.DictReader(file)} == {"class 1"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("0=0", "200"), "--mask-values 0=0 200: expected VALUE=CLASS with a class from 0 to 254, or VALUE=ignore"),
        (("0=0",), "--mask-values 0=0: expected at least two classes"),
        (("0=0", "9=1"), "mask value 200, for which --mask-values has no class; add 200=CLASS or 200=ignore"),
        ((*VALUES[1:], "--mask-format", "binary"), "--mask-values: cannot be combined with --mask-format binary"),
        ((*VALUES[1:], "--mask-threshold", "9"), "--mask-values: cannot be combined with --mask-threshold 9"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(train, grey, tmp_path, words, said):
    code, _, err = train(grey, tmp_path / "run", "--mask-values", *words)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
