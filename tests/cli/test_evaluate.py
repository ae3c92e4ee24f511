import json
import shutil

import numpy as np
import pytest

from scratchnet.data import read_image, read_mask
from scratchnet.evaluation import reliability
from scratchnet.inference import Segmenter
from scratchnet.training import Checkpoint, load_checkpoint, save_checkpoint
from tests.tiny import files, network, recipe, write_set


@pytest.fixture
def evaluate(call, finished, tmp_path):
    """Evaluate the finished run; return (exit code, stdout, metrics or stderr)."""

    def run(*words, data=None):
        target = tmp_path / "found.json"
        where = ["--data", data or finished / "set", "--out", target]
        code, said, err = call("evaluate", finished / "run" / "checkpoint.npz", *where, *words)
        return code, said, json.loads(target.read_text(), parse_constant=pytest.fail) if code == 0 else err

    return run


def test_the_same_as_at_the_end_of_training(evaluate, finished):
    code, said, found = evaluate()
    assert code == 0
    trained = json.loads((finished / "run" / "metrics.json").read_text())
    for name in (
        "accuracy",
        "mean_accuracy",
        "iou",
        "mean_iou",
        "fw_iou",
        "dice",
        "pixels",
        "loss",
        "images",
        "baselines",
    ):
        assert found[name] == trained[name]
    assert found["split"] == "val"
    assert 0 <= found["lowest_image"] <= 1
    assert "bloodcell on 2 images, running statistics" in said
    assert "lowest image: s" in said
    assert "this network" in said


def test_batch_statistics(evaluate):
    assert evaluate("--bn-statistics", "batch")[2]["loss"] != evaluate("--bn-statistics", "running")[2]["loss"]


@pytest.mark.parametrize(("split", "images", "baselines"), [("val", 2, 2), ("train", 4, 2), ("all", 6, 2)])
def test_splits(evaluate, split, images, baselines):
    code, _, found = evaluate("--split", split)
    assert code == 0
    assert found["images"] == images
    assert len(found["baselines"]) == baselines


def test_a_folder_of_its_own_needs_no_lists_and_no_names(evaluate, tmp_path):
    data = write_set(tmp_path / "new", 3, 40, 48, split=False)
    assert evaluate(data=data)[2]["images"] == 3
    (data / "classes.txt").unlink()
    code, said, found = evaluate(data=data)
    assert code == 0
    assert found["images"] == 3
    assert "square" in said  # named as in training


def test_metrics_go_beside_the_checkpoint_or_into_a_folder(call, finished, tmp_path):
    shutil.copytree(finished / "run", tmp_path / "run")
    before = files(tmp_path / "run")
    words = ("evaluate", tmp_path / "run" / "checkpoint.npz", "--data", finished / "set")
    assert call(*words, "--out", tmp_path / "elsewhere")[0] == 0
    assert files(tmp_path / "run") == before
    assert json.loads((tmp_path / "elsewhere" / "metrics.json").read_text())["images"] == 2
    assert call(*words)[0] == 0
    after = files(tmp_path / "run")
    assert {name.name for name in after if after[name] != before.get(name)} == {"metrics.json", "confusion.png"}


@pytest.mark.parametrize(
    "words", [["net.npz"], ["--masks", "masks"], ["nuclei", "--mask-format", "index"]], ids=" ".join
)
def test_without_a_run_and_a_name_nothing_is_written(call, finished, tmp_path, monkeypatch, words):
    """Neither into the current folder nor among the user's masks."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(finished / "run" / "checkpoint.npz", "net.npz")
    shutil.copytree(finished / "set" / "masks", "masks")
    data = finished / "set"
    if "nuclei" in words:
        data = shutil.copytree(data, tmp_path / "set")
        (data / "classes.txt").write_text("background\nnucleus\n")
    before = files(tmp_path)
    code, said, err = call("evaluate", *words, "--data", data)
    assert (code, err) == (0, "")
    assert said.endswith("\nno file written; --out FOLDER writes metrics.json\n")
    assert files(tmp_path) == before


def test_calibration_is_that_of_all_pixels(evaluate, finished):
    """In one pass over the probabilities as `reliability` makes it, with 15 bins."""
    _, said, found = evaluate()
    stored = load_checkpoint(finished / "run" / "checkpoint.npz")
    segmenter = Segmenter(stored.network, stored.spec.preprocessing)
    images, masks = finished / "set" / "images", finished / "set" / "masks"
    names = (finished / "set" / "splits" / "val.txt").read_text().split()
    probabilities = segmenter.probabilities(np.stack([read_image(images / f"{name}.png") for name in names]))
    truth = np.stack([read_mask(masks / f"{name}.png") for name in names])
    expected = reliability(probabilities, truth, bins=15).expected_calibration_error()
    assert found["expected_calibration_error"] == pytest.approx(expected)
    assert f"expected calibration error {expected:.4f} (15 bins of the confidence)" in said


def test_a_checkpoint_that_the_library_wrote(call, tmp_path):
    data = write_set(tmp_path / "set", 3, split=False)
    save_checkpoint(tmp_path / "a.npz", Checkpoint(recipe(), network()))
    code, said, err = call("evaluate", tmp_path / "a.npz", "--data", data)
    assert (code, err) == (0, "")
    assert "bloodcell on 3 images" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--split", "test"], "test.txt: no such file; choose one of train, val"),
        (["--mask-format", "binary"], "s4.png: a coloured mask"),
        (["--mask-threshold", "300"], "--mask-threshold 300: expected 0 to 254"),
        (["--layout", "camvid"], "no pair of folders like train/ and trainannot/"),
    ],
)
def test_what_goes_wrong(evaluate, words, expected):
    code, said, err = evaluate(*words)
    assert code == 2
    assert said == ""
    assert err.startswith("scratchnet: error: ")
    assert expected in err
    assert err.count("\n") == 1


def test_a_split_of_a_folder_without_lists(evaluate, tmp_path):
    data = write_set(tmp_path / "new", 3, 32, 32, split=False)
    code, _, err = evaluate("--split", "test", data=data)
    assert code == 2
    assert "test.txt: no such file" in err


def test_other_classes(evaluate, tmp_path):
    data = write_set(tmp_path / "new", 3, 32, 32, classes=("background", "cell"))
    code, _, err = evaluate(data=data)
    assert code == 2
    assert "has the classes background, cell, but" in err
    assert "was trained on ground, square" in err


def test_batch_statistics_of_a_single_pixel(evaluate, tmp_path):
    code, _, err = evaluate("--bn-statistics", "batch", data=write_set(tmp_path / "new", 3, 16, 16))
    assert code == 2
    assert "--bn-statistics batch: batch norm: one pixel" in err
    assert err.count("\n") == 1
