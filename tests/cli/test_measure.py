import csv
import json

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import write_image, write_mask
from tests.tiny import files

pytest.importorskip("skimage")


@pytest.fixture
def masks(tmp_path):
    """A mask with a square, two touching discs and a speck, and one without objects; images and class names."""
    y, x = np.mgrid[:40, :60]
    mask = np.zeros((40, 60), np.uint8)
    mask[2:8, 2:8] = 1
    mask[((y - 24) ** 2 + (x - 20) ** 2 <= 81) | ((y - 24) ** 2 + (x - 36) ** 2 <= 81)] = 2
    mask[30, 55] = 1
    mask[0:5, 50:55] = 1
    write_mask(tmp_path / "set" / "masks" / "a.png", mask)
    write_mask(tmp_path / "set" / "masks" / "b.png", np.zeros((40, 60), np.uint8))
    for name, value in (("a", 90), ("b", 30)):
        write_image(tmp_path / "set" / "images" / f"{name}.png", np.full((40, 60, 3), value, np.uint8))
    (tmp_path / "set" / "classes.txt").write_text("ground\nsquare\ndisc\n")
    return tmp_path / "set" / "masks"


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_every_object(call, masks, tmp_path):
    code, said, err = call("measure", masks, "--images", masks.parent / "images", "--out", tmp_path / "cells.csv")
    assert (code, err) == (0, "")
    found = rows(tmp_path / "cells.csv")
    assert [(row["image"], row["object"], row["class"]) for row in found] == [
        ("a.png", "1", "square"),
        ("a.png", "2", "square"),
        ("a.png", "3", "disc"),
        ("a.png", "4", "disc"),
    ]
    assert [row["area_px"] for row in found[:2]] == ["25", "36"]
    assert (found[1]["centroid_row_px"], found[1]["perimeter_px"], found[1]["mean_red"]) == ("4.5", "20", "90")
    assert [row["at_border"] for row in found] == ["1", "0", "0", "0"]
    assert "4 objects in 2 images\nleft out: 1 of fewer than 10 pixels (--min-area)\n" in said
    assert "square        2        1.0             30.5" in said
    totals = rows(tmp_path / "cells" / "summary.csv")
    assert [(row["image"], row["class"], row["objects"]) for row in totals] == [
        ("a.png", "square", "2"),
        ("a.png", "disc", "2"),
        ("b.png", "square", "0"),
        ("b.png", "disc", "0"),
    ]
    assert float(totals[0]["coverage"]) == pytest.approx(61 / 2400)
    assert totals[2]["mean_area_px"] == ""


def test_pictures(call, masks, tmp_path):
    assert call("measure", masks, "--out", tmp_path / "found")[0] == 0
    names = {"objects.csv", "summary.csv", *(f"{n}-{w}.png" for n in "ab" for w in ("objects", "labels"))}
    assert {path.name for path in (tmp_path / "found").iterdir()} == names
    with Image.open(tmp_path / "found" / "a-labels.png") as labels:
        assert labels.mode == "I;16"
        sizes = np.bincount(np.array(labels).ravel())
    assert [str(size) for size in sizes[1:]] == [row["area_px"] for row in rows(tmp_path / "found" / "objects.csv")]
    with Image.open(tmp_path / "found" / "a-objects.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (60 * 17, 40 * 17))
        assert len(np.unique(np.array(picture).reshape(-1, 3), axis=0)) > 4
    assert call("measure", masks, "--out", tmp_path / "none", "--no-pictures")[0] == 0
    assert {path.name for path in (tmp_path / "none").iterdir()} == {"objects.csv", "summary.csv"}


@pytest.mark.parametrize(
    ("words", "areas"),
    [
        (["--no-split-objects"], 3),
        (["--neck", "0.3"], 3),
        (["--exclude-border"], 3),
        (["--min-area", "1"], 5),
        (["--min-area", "30"], 3),
        (["--min-area", "1000"], 0),
        (["--ignore-index", "2"], 2),
    ],
)
def test_what_counts_as_an_object(call, masks, tmp_path, words, areas):
    code, said, err = call("measure", masks, "--out", tmp_path / "found", "--no-pictures", *words)
    assert (code, err) == (0, "")
    assert len(rows(tmp_path / "found" / "objects.csv")) == areas
    assert ("left out: 1 that touch the border" in said) == ("--exclude-border" in words)


def test_micrometres_are_in_the_names_of_the_columns(call, masks, tmp_path):
    out = tmp_path / "found"
    said = call("measure", masks, "--out", out, "--pixel-size", "0.5", "--no-pictures", "--verbose")[1]
    assert "mean area (µm²)" in said
    assert f"{masks / 'a.png'}: 4 objects" in said
    square = rows(out / "objects.csv")[1]
    assert (square["area_px"], square["area_um2"], square["perimeter_um"]) == ("36", "9", "10")
    assert rows(out / "summary.csv")[0]["area_um2"] == "15.25"


def test_json_alone_is_on_stdout(call, masks, tmp_path):
    code, said, err = call("measure", masks, "--out", tmp_path / "found", "--json")
    assert (code, err) == (0, "")
    found = json.loads(said, parse_constant=pytest.fail)
    assert found["images"][0] == {"image": "a.png", "objects": 4, "small": 1, "excluded": 0}
    assert [each["objects"] for each in found["classes"]] == [2, 2]
    assert found["separation"]["neck"] == 0.85
    assert call("measure", masks, "--out", tmp_path / "found", "--quiet") == (0, "", "")


def test_formats_of_masks(call, masks, tmp_path):
    (masks.parent / "classes.txt").unlink()
    said = call("measure", masks, "--out", tmp_path / "plain", "--no-pictures")[1]
    assert "class 2" in said
    with Image.open(masks / "a.png") as mask:
        white = Image.fromarray((np.array(mask) > 0).astype(np.uint8) * 255)
    white.save(masks / "a.png")
    words = ("measure", masks, "--out", tmp_path / "binary", "--no-pictures")
    code, _, err = call(*words)
    assert code == 2
    assert "a.png: mask values are only 0 and 255; use --mask-format binary if 255 is the foreground" in err
    assert not (tmp_path / "binary" / "objects.csv").exists()
    assert call(*words, "--mask-format", "binary")[0] == 0
    assert {row["class"] for row in rows(tmp_path / "binary" / "objects.csv")} == {"foreground"}
    assert call(*words, "--mask-threshold", "127")[0] == 0


def test_images_that_a_network_segments(call, plain, tmp_path):
    out = tmp_path / "found"
    code, said, err = call("measure", plain / "run" / "checkpoint.npz", plain / "set" / "images", "--out", out)
    assert (code, err) == (0, "")
    assert call("segment", plain / "run" / "checkpoint.npz", plain / "set" / "images", "--out", tmp_path / "m")[0] == 0
    code, again, err = call("measure", tmp_path / "m", "--classes", "ground", "square", "--out", tmp_path / "again")
    assert (code, err) == (0, "")
    assert f"{tmp_path / 'm'}: leaving out 6 pictures that scratchnet drew\n" in again
    one, other = (
        [(row["image"].split(".")[0], row["area_px"]) for row in rows(folder / "objects.csv")]
        for folder in (out, tmp_path / "again")
    )
    assert one == other
    assert "mean_red" in (out / "objects.csv").read_text().split("\n")[0]
    assert said.split("\n\n")[1] == again.split("\n\n")[1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--images", "{set}/none"], "none: no such folder; expected the folder with the images of the masks"),
        (["--classes", "2"], "classes were requested"),
        (["--pixel-size", "0"], "--pixel-size 0: expected the side of a pixel in µm"),
        (["--neck", "1"], "--neck 1.0: expected a number between 0 and 1"),
        (["--neck", "0.5", "--no-split-objects"], "--neck: has no effect with --no-split-objects"),
        (["--min-area", "0"], "--min-area 0: expected 1 to"),
        (["--tile", "64"], "--tile: has no effect on masks; to segment images, name a checkpoint first"),
        (["--bn-statistics", "batch"], "--bn-statistics: has no effect on masks"),
        (["--range", "0", "9"], "--range: has no effect without --images"),
        (["--mask-threshold", "300"], "--mask-threshold 300: expected 0 to 254"),
    ],
)
def test_what_goes_wrong(call, masks, tmp_path, words, expected):
    filled = [word.format(set=masks.parent) for word in words]
    code, said, err = call("measure", masks, "--out", tmp_path / "found", *filled)
    assert (code, said) == (2, "")
    assert expected in err
    assert err.count("\n") == 1
    assert not (tmp_path / "found").exists()


def test_masks_and_images_that_do_not_fit(call, masks, tmp_path):
    images, out = masks.parent / "images", tmp_path / "found"
    words = ("measure", masks, "--images", images, "--out", out)
    write_image(images / "c.png", np.zeros((40, 60, 3), np.uint8))
    assert f"{images}: 1 without a mask, not measured: c.png\n" in call(*words)[1]
    write_image(images / "b.png", np.zeros((40, 50, 3), np.uint8))
    assert "b.png: 40×60 pixels (height × width), but its image" in call(*words)[2]
    (images / "b.png").unlink()
    assert "b.png: has no image in" in call(*words)[2]
    assert "the 2 classes are 0 to 1" in call("measure", masks, "--out", out, "--classes", "a", "b")[2]
    (tmp_path / "empty").mkdir()
    assert "empty: no masks in this folder" in call("measure", tmp_path / "empty", "--out", out)[2]
    assert "[CHECKPOINT] FILE… missing" in call("measure", "--out", out)[2]
    assert "no such file" in call("measure", tmp_path / "none.png", "--out", out)[2]
    twice = call("measure", masks / "a.png", masks / "a.png", "--out", out)[2]
    assert "have the same name; measure them apart" in twice


def test_results_do_not_go_among_the_masks(call, masks):
    """Where later commands would take them for masks."""
    before = files(masks.parent)
    for out in (masks, masks.with_suffix(".csv")):
        code, said, err = call("measure", masks, "--out", out)
        assert (code, said) == (2, "")
        assert "masks: holds the masks or images, and would also get the results; choose another --out" in err
    assert files(masks.parent) == before


def test_flags_of_masks_do_not_go_with_a_checkpoint(call, plain, tmp_path):
    words = ("measure", plain / "run" / "checkpoint.npz", plain / "set" / "images", "--out", tmp_path / "found")
    assert "--mask-format: is for masks; a checkpoint states" in call(*words, "--mask-format", "binary")[2]
    assert "no image given" in call("measure", plain / "run" / "checkpoint.npz", "--out", tmp_path / "found")[2]


def test_an_error_in_the_middle_leaves_the_table_as_it_was(call, masks, tmp_path):
    words = ("measure", masks, "--out", tmp_path / "found")
    assert call(*words)[0] == 0
    before = files(tmp_path / "found")
    write_mask(masks / "b.png", np.full((40, 60), 9, np.uint8))
    assert call(*words)[0] == 2
    assert files(tmp_path / "found") == before


def test_masks_of_segment_state_their_classes(call, plain, tmp_path):
    """Also beside a class file of another data set."""
    (tmp_path / "classes.txt").write_text("one\nother\nthird\n")
    call("segment", plain / "run" / "checkpoint.npz", plain / "set" / "images", "--out", tmp_path / "masks")
    code, _, err = call("measure", tmp_path / "masks", "--out", tmp_path / "own.csv", "--min-area", "1")
    assert (code, err) == (0, "")
    assert {row["class"] for row in rows(tmp_path / "own" / "summary.csv")} == {"square"}
    call("measure", tmp_path / "masks", "--out", tmp_path / "renamed.csv", "--classes", "one", "other", "third")
    assert {row["class"] for row in rows(tmp_path / "renamed" / "summary.csv")} == {"other", "third"}


def test_pictures_do_not_go_into_a_folder_of_the_user(call, masks, tmp_path):
    """The table set.csv has its pictures in set/, which is the data set here."""
    before = files(tmp_path)
    code, said, err = call("measure", masks, "--out", tmp_path / "set.csv")
    assert (code, said) == (2, "")
    assert f"would go to the folder {tmp_path / 'set'}, which holds other files (classes.txt)" in err
    assert files(tmp_path) == before
    assert call("measure", masks, "--out", tmp_path / "cells.csv")[0] == 0
    assert call("measure", masks, "--out", tmp_path / "cells.csv")[0] == 0
