import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import write_mask
from tests.tiny import write_set


@pytest.fixture
def pair(tmp_path):
    """A data set, and a copy of its masks in which that of s5 has one more square."""
    data = write_set(tmp_path / "set", 6, 32, 32)
    other = shutil.copytree(data / "masks", tmp_path / "other")
    with Image.open(other / "s5.png") as image:
        mask = np.array(image)
    corner = next((y, x) for y in (0, 26) for x in (0, 26) if not mask[y : y + 6, x : x + 6].any())
    mask[corner[0] : corner[0] + 5, corner[1] : corner[1] + 5] = 1
    write_mask(other / "s5.png", mask)
    return data, other


def test_two_annotators(call, pair, tmp_path):
    data, other = pair
    table = tmp_path / "scores.csv"
    words = ("evaluate", "--masks", other, "--data", data, "--split", "all", "--out", tmp_path / "o")
    code, said, err = call(*words, "--per-image", table)
    assert (code, err) == (0, "")
    assert f"{other}: 6 masks compared with those of {data}" in said
    assert "square               1.00       1.17       +0.17                 0.17" in said
    assert "lowest image: s5" in said
    with table.open(encoding="utf-8", newline="") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    assert [rows[f"s{i}"]["count_error_square"] for i in range(6)] == ["0", "0", "0", "0", "0", "1"]
    assert (rows["s0"]["mean_iou"], rows["s0"]["iou_square"]) == ("1", "1")
    assert float(rows["s5"]["accuracy"]) == pytest.approx(1 - 25 / 1024)
    found = json.loads((tmp_path / "o" / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert (found["images"], found["loss"], found["masks"]) == (6, None, str(other))
    assert call(*words, "--json")[1] == json.dumps(found, indent=2) + "\n"
    assert call(*words, "--quiet") == (0, "", "")


def test_a_split_and_other_formats(call, pair, tmp_path):
    data, other = pair
    words = ("evaluate", "--masks", other, "--data", data, "--out", tmp_path / "o")
    assert "2 masks compared" in call(*words)[1]
    for path in other.iterdir():
        with Image.open(path) as image:
            white = Image.fromarray(np.array(image) * 255)
        white.save(path)
    assert "use --mask-format binary" in call(*words)[2]
    code, said, _ = call(*words, "--masks-format", "binary")
    assert code == 0
    assert "pixel accuracy 0.98" in said


def test_masks_that_segment_wrote_are_read_as_such(call, plain, tmp_path):
    """Though the data set's own are black and white."""
    data = shutil.copytree(plain / "set", tmp_path / "set")
    for path in (data / "masks").iterdir():
        with Image.open(path) as image:
            white = Image.fromarray(np.array(image) * 255)
        white.save(path)
    assert call("segment", plain / "run" / "checkpoint.npz", data / "images", "--out", tmp_path / "m")[0] == 0
    words = ("--data", data, "--mask-format", "binary", "--split", "all", "--out")
    assert call("evaluate", "--masks", tmp_path / "m", *words, tmp_path / "a")[0] == 0
    assert call("evaluate", plain / "run" / "checkpoint.npz", *words, tmp_path / "b")[0] == 0
    one, other = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in "ab")
    assert (one["iou"], one["bf"], one["objects_per_image"]) == (other["iou"], other["bf"], other["objects_per_image"])


def test_what_goes_wrong(call, pair, tmp_path):
    data, other = pair
    words = ("evaluate", "--masks", other, "--data", data, "--split", "all", "--out", tmp_path / "o")
    for more, expected in (
        (("--tile", "32"), "--tile: has no effect on --masks"),
        (("--bn-statistics", "batch"), "--bn-statistics: has no effect on --masks"),
        (("run.npz",), "--masks: cannot be combined with the checkpoint run.npz"),
    ):
        code, said, err = call(*words, *more)
        assert (code, said, err.count("\n")) == (2, "", 1)
        assert expected in err
    write_mask(other / "s1.png", np.zeros((32, 30), np.uint8))
    assert "s1.png: 32×30 pixels (height × width), but the mask" in call(*words)[2]
    for name in ("s0", "s1", "s2", "s4"):
        (other / f"{name}.png").unlink()
    assert "no mask for 4 of the 6 images: s0, s1, s2, …; add them" in call(*words)[2]
    assert "none: no such folder" in call("evaluate", "--masks", tmp_path / "none", "--data", data)[2]
    assert "no checkpoint given; name one, several" in call("evaluate", "--data", data)[2]
    assert "has no effect without --masks" in call("evaluate", "a.npz", "--data", data, "--masks-format", "index")[2]
    said = call("evaluate", "--compare", "a.npz", "b.npz", "--data", data, "--per-image", "x.csv")[2]
    assert "--per-image: cannot be combined with --compare" in said


def test_black_and_white_masks_without_names(call, pair, tmp_path):
    """Neither the data set nor the other masks need a flag or a classes.txt."""
    data, other = pair
    (data / "classes.txt").unlink()
    for folder in (data / "masks", other):
        for path in folder.iterdir():
            with Image.open(path) as image:
                white = Image.fromarray(np.array(image) * 255)
            white.save(path)
    code, said, err = call("evaluate", "--masks", other, "--data", data, "--split", "all")
    assert (code, err) == (0, "")
    assert "all masks hold 0 and 255 only, so 255 is the foreground (--mask-format binary)" in said
    assert "foreground" in said
    assert call("data", "weights", data)[0] == 0
