import json

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import open_dataset, write_image, write_mask
from tests.tiny import files, write_set


@pytest.mark.parametrize(
    ("words", "classes"),
    [
        (["squares", "--size", "32"], ("background", "square")),
        (["cells", "--size", "48"], ("background", "stained cell")),
        (["cells", "--size", "48", "--task", "red"], ("background", "red cell")),
        (["shapes", "--size", "48"], ("background", "disc", "square", "triangle", "ring", "star")),
        (["shapes", "--size", "48", "--plain"], ("background", "disc", "square", "triangle", "ring", "star")),
    ],
    ids=["squares", "stained", "red", "shapes", "plain shapes"],
)
def test_make(call, tmp_path, words, classes):
    out = tmp_path / "set"
    code, said, err = call("data", "make", words[0], out, "--count", "5", "--seed", "3", *words[1:])
    assert (code, err) == (0, "")
    assert said == f"wrote 5 images and masks to {out}\n"
    assert len(open_dataset(out, split="train")) == 4
    made = open_dataset(out, split="val")
    assert len(made) == 1
    assert len(made.classes) == len(classes)
    assert call("data", "make", words[0], tmp_path / "again", "--count", "5", "--seed", "3", *words[1:])[0] == 0
    assert files(out) == files(tmp_path / "again")
    assert call("data", "check", out)[0] == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--count", "0"], "--count 0: expected 2 to 1000000"),
        (["--count", "-3"], "--count -3: expected 2 to 1000000"),
        (["--count", "1"], "--count 1: expected 2 to 1000000"),
        (["--seed", "-1"], "--seed -1: expected 0 to 2⁶³"),
        (["--size", "8"], "--size 8: expected 16 to 10000"),
        (["--val-fraction", "1"], "--val-fraction 1.0: expected"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_made(call, tmp_path, words, error):
    code, said, err = call("data", "make", "cells", tmp_path / "new", *words)
    assert (code, said) == (2, "")
    assert error in err
    assert err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_nothing_is_written_into_a_folder_with_files(call, images):
    before = files(images)
    code, _, err = call("data", "make", "cells", images)
    assert code == 2
    assert f"{images}: is not an empty folder" in err
    assert files(images) == before


def test_nor_under_a_file(call, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = call("data", "make", "squares", tmp_path / "file" / "set", "--size", "32", "--count", "2")
    assert code == 2
    assert "cannot be written" in err


def test_check_finds_nothing(call, images):
    code, said, err = call("data", "check", images)
    assert (code, err) == (0, "")
    for words in ("6 images with masks", "split train: 4", "size: all 32×32", "square", "problems: none"):
        assert words in said
    assert call("data", "check", images, "--split", "val")[1].startswith(f"{images}: 2 images")


def test_classes_by_number_or_name(call, images):
    (images / "classes.txt").unlink()
    assert "class 1 " in call("data", "check", images, "--classes", "2")[1]
    assert "box " in call("data", "check", images, "--classes", "ground", "box")[1]


def test_check_lists_everything_and_fails(call, images):
    write_mask(images / "masks" / "s1.png", np.full((32, 32), 3, np.uint8))
    (images / "images" / "s2.png").write_bytes(b"")
    code, said, _ = call("data", "check", images)
    assert code == 1
    assert "problems: 2" in said
    assert "s1.png: mask value 3" in said
    assert "s2.png: is empty (0 bytes)" in said


def test_cells_with_object_numbers(call, tmp_path):
    out = tmp_path / "made"
    assert call("data", "make", "cells", out, "--count", "2", "--size", "64", "--task", "red", "--objects")[0] == 0
    data = open_dataset(out)
    for index in range(2):
        numbers, mask = data.load_instances(index), data.load_mask(index)
        assert ((numbers > 0) == (mask > 0)).all()
        assert numbers.max() > 1
    assert call("data", "check", out)[0] == 0


def test_check_as_json_and_quiet(call, images):
    code, said, err = call("data", "check", images, "--json")
    assert (code, err) == (0, "")
    found = json.loads(said)
    assert (found["ok"], found["images"], found["problems"]) == (True, 6, [])
    assert sum(each["pixels"] for each in found["classes"]) == 6 * 32 * 32
    assert call("data", "check", images, "--quiet") == (0, "", "")
    for name in ("s0", "s1", "s2", "s3", "s4"):
        (images / "masks" / f"{name}.png").unlink()
    code, said, err = call("data", "check", images, "--quiet")
    assert (code, said) == (1, "")
    assert "s0.png: has no mask" in err
    assert "the same of 4 more" in err
    assert call("data", "check", images, "--verbose")[1].count("has no mask") == 5
    found = json.loads(call("data", "check", images, "--json")[1])
    assert len([problem for problem in found["problems"] if "has no mask" in problem]) == 5


def test_check_of_a_folder_that_is_missing(call, tmp_path):
    code, said, err = call("data", "check", tmp_path / "none")
    assert (code, said) == (2, "")
    assert err.startswith(f"scratchnet: error: {tmp_path / 'none'}: no such folder")


def test_weights(call, images):
    code, said, err = call("data", "weights", images)
    assert (code, err) == (0, "")
    assert "4 masks of split train" in said
    # Every square covers a quarter of its image: frequencies 3/4 and 1/4, median 1/2.
    assert "ground     0.7500  0.6667" in said
    assert "square     0.2500  2.0000" in said
    assert "--class-weights 0.6667 2.0000" in said
    assert "2 masks of split val" in call("data", "weights", images, "--split", "val")[1]


def test_weights_of_a_folder_without_lists(call, tmp_path):
    data = write_set(tmp_path / "set", 3, split=False)
    assert "3 masks\n" in call("data", "weights", data)[1]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--ignore-index", "300"], "--ignore-index 300: expected 0 to 255"),
        (["--ignore-index", "-1"], "--ignore-index -1: expected 0 to 255"),
        (["--classes", "1"], "--classes 1: expected 2 to 256"),
        (["--mask-threshold", "-1"], "--mask-threshold -1: expected 0 to 254"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("action", ["check", "weights"])
def test_settings_that_make_no_sense(call, images, action, words, error):
    code, said, err = call("data", action, images, *words)
    assert (code, said, err) == (
        2,
        "",
        f"scratchnet: error: {error}{', the background included' * ('classes' in error)}\n",
    )


def test_weights_name_the_file_that_is_wrong(call, images):
    write_mask(images / "masks" / "s1.png", np.full((32, 32), 3, np.uint8))
    code, said, err = call("data", "weights", images)
    assert (code, said) == (2, "")
    assert "s1.png: mask value 3, but the 2 classes are 0 to 1, 255 is ignored" in err


def test_usage(call):
    assert call("data")[0] == 0
    assert "usage: scratchnet data make" in call("data", "--help")[1]
    code, _, err = call("data", "draw")
    assert code == 2
    assert err == "scratchnet: error: 'data draw' is no command; choose one of: make, check, weights, import, suggest\n"


def test_a_check_reads_masks_as_a_planned_training_does(call, tmp_path):
    """Black and white masks, and masks of 0, 1, 2, without class names; other values need a flag."""
    for name, values in {"white": (0, 255), "index": (0, 1, 2), "spread": (0, 128, 255)}.items():
        for index in range(3):
            mask = np.zeros((16, 16), np.uint8)
            for place, value in enumerate(values):
                mask[4 * place : 4 * place + 4] = value
            (tmp_path / name / "masks").mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(tmp_path / name / "masks" / f"{index}.png")
            write_image(tmp_path / name / "images" / f"{index}.png", np.full((16, 16, 3), 10 * index, np.uint8))
    code, said, err = call("data", "check", tmp_path / "white")
    assert (code, err) == (0, "")
    assert "all masks hold 0 and 255 only, so 255 is the foreground (--mask-format binary)" in said
    code, said, _ = call("data", "check", tmp_path / "index")
    assert code == 0
    assert "the masks hold 3 classes, called class 0, class 1, class 2 (--classes 3)" in said
    (tmp_path / "index" / "masks" / "1.png").write_bytes(b"damaged")
    code, said, _ = call("data", "check", tmp_path / "index")
    assert code == 1
    assert "problems: 1\n" in said
    code, said, _ = call("data", "check", tmp_path / "spread")
    assert code == 1
    assert "--mask-values 0=0 128=1 255=2" in said
