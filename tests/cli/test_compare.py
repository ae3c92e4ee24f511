import json
import shutil

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import ObjectBox, Window, write_boxes
from scratchnet.training import Checkpoint, save_checkpoint
from tests.tiny import files, network, recipe, write_set


@pytest.fixture
def pair(tmp_path):
    """Two untrained checkpoints."""
    for seed in (0, 1):
        save_checkpoint(tmp_path / f"{seed}.npz", Checkpoint(recipe(), network(seed=seed)))
    return tmp_path / "0.npz", tmp_path / "1.npz"


def read(path):
    return json.loads(path.read_text(), parse_constant=pytest.fail)


def test_checkpoints_side_by_side(call, pair, finished, tmp_path):
    words = ("--data", finished / "set", "--out", tmp_path / "both")
    code, said, err = call("evaluate", "--compare", *pair, *words)
    assert (code, err) == (0, "")
    lines = said.splitlines()
    assert lines[0] == "2 images, running statistics"
    head, *rows = lines[2:]
    assert head.split("  ")[-1].strip() == "large"
    for row, path in zip(rows, pair, strict=False):
        assert row.startswith(f"{path} ")
        assert row.removeprefix(str(path)).split()[0] == "bloodcell"
    assert rows[2].startswith("all background")
    assert rows[3].startswith("threshold")
    assert rows[4].startswith("number of objects")
    assert said.endswith(f"wrote {tmp_path / 'both' / 'metrics.json'}\n")
    found = read(tmp_path / "both" / "metrics.json")
    assert [each["checkpoint"] for each in found["checkpoints"]] == [str(path) for path in pair]
    assert set(found["baselines"]) == {row.split("  ")[0] for row in rows[2:4]}
    for path, row, each in zip(pair, rows, found["checkpoints"], strict=False):
        call("evaluate", path, *words[:2], "--out", tmp_path / "one.json")
        alone = read(tmp_path / "one.json")
        assert {name: alone[name] for name in each if name in alone} == {k: v for k, v in each.items() if k != "model"}
        numbers = [
            each["accuracy"],
            each["mean_accuracy"],
            each["mean_iou"],
            each["fw_iou"],
            each["dice"][1],
            each["bf"],
            each["band"]["mean_iou"],
            *(each["sizes"][name]["iou"] for name in ("small", "medium", "large")),
        ]
        assert row.removeprefix(str(path)).split()[1:] == [
            "–" if number is None else f"{number:.4f}" for number in numbers
        ]


def test_the_first_may_stand_in_its_usual_place(call, pair, finished, tmp_path):
    words = ("--data", finished / "set", "--out", tmp_path / "x.json")
    assert call("evaluate", pair[0], "--compare", pair[1], *words)[0] == 0
    assert [c["checkpoint"] for c in read(tmp_path / "x.json")["checkpoints"]] == [str(path) for path in pair]


def test_flags_go_for_all(call, pair, finished, tmp_path):
    words = ("--data", finished / "set", "--out", tmp_path / "x.json", "--compare", *pair)
    _, plain, _ = call("evaluate", *words)
    code, said, _ = call("evaluate", *words, "--flip", "--scales", "0.5", "1")
    assert code == 0
    assert said.splitlines()[0] == "2 images, running statistics, scales 0.5 1, flipped too"
    assert all(a != b for a, b in zip(said.splitlines()[3:5], plain.splitlines()[3:5], strict=True))
    assert read(tmp_path / "x.json")["prediction"] == {"flip": True, "scales": [0.5, 1.0]}


def test_nothing_is_written_into_the_runs(call, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        shutil.copytree(finished / "run", tmp_path / name)
    before = files(tmp_path / "a"), files(tmp_path / "b")
    words = ("evaluate", "--compare", "a/checkpoint.npz", "b/checkpoint.npz", "--data", finished / "set")
    code, said, _ = call(*words)
    assert code == 0
    assert said.endswith("\nno file written; --out FOLDER writes metrics.json\n")
    assert (files(tmp_path / "a"), files(tmp_path / "b")) == before
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_several_classes(call, tmp_path):
    """Dice is the mean over the classes that occur; there are no baselines."""
    names = ("ground", "square", "star")
    data = write_set(tmp_path / "set", 3, 32, 32, classes=names)
    for seed in (0, 1):
        about = recipe(classes=names)
        save_checkpoint(tmp_path / f"{seed}.npz", Checkpoint(about, about.build().allocate(seed).eval()))
    code, said, _ = call(
        "evaluate", "--compare", tmp_path / "0.npz", tmp_path / "1.npz", "--data", data, "--out", tmp_path
    )
    assert code == 0
    first = read(tmp_path / "metrics.json")["checkpoints"][0]
    row = said.splitlines()[3].removeprefix(str(tmp_path / "0.npz"))
    assert row.split()[5] == f"{np.mean(first['dice'][:2]):.4f}"
    assert "all background" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no checkpoint given; name one, several after --compare, or a folder of masks after --masks"),
        (["--compare", "FIRST", "FIRST"], "0.npz is named twice; leave one out"),
        (["FIRST", "--compare", "FIRST"], "0.npz is named twice"),
        (["--compare", "FIRST", "OTHER"], "has the classes ground, square, but"),
        (["--compare", "FIRST", "MISSING"], "missing.npz: no such checkpoint"),
        (["FIRST", "--boundary-tolerance", "2"], "--boundary-tolerance 2.0: expected 0 to 1"),
        (["FIRST", "--band-width", "0"], "--band-width 0.0: expected 1 to 10000 pixels"),
        (["FIRST", "--size-edges", "0.5", "0.2"], "--size-edges 0.5 0.2: expected two numbers from 0.01"),
    ],
)
def test_what_goes_wrong(call, pair, finished, tmp_path, words, said):
    about = recipe(classes=("cat", "dog"))
    save_checkpoint(tmp_path / "classes.npz", Checkpoint(about, network()))
    paths = {"FIRST": pair[0], "OTHER": tmp_path / "classes.npz", "MISSING": tmp_path / "missing.npz"}
    typed = [paths.get(word, word) for word in words]
    code, out, err = call("evaluate", *typed, "--data", finished / "set", "--out", tmp_path / "x.json")
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x.json").exists()


def test_checkpoints_that_held_back_other_images_are_not_compared(call, tmp_path):
    data = write_set(tmp_path / "set", 4, 32, 32, split=False)
    for name, held_out in (("a", ["s0"]), ("b", ["s1"])):
        about = recipe()
        about.data["held_out"] = held_out
        save_checkpoint(tmp_path / f"{name}.npz", Checkpoint(about, network()))
    words = ("evaluate", "--compare", tmp_path / "a.npz", tmp_path / "b.npz", "--data", data, "--out", tmp_path)
    code, _, err = call(*words)
    assert code == 2
    assert "b.npz and" in err
    assert "held back different images" in err
    assert call(*words, "--split", "all")[0] == 0


def counts(path):
    return {name: each["objects"] for name, each in read(path)["sizes"].items()}


def test_objects_of_a_set_without_files_are_connected_regions(call, pair, finished, tmp_path):
    """Every image shows one square half as wide as the image."""
    words = ("evaluate", pair[0], "--data", finished / "set", "--split", "all", "--out", tmp_path / "x.json")
    assert call(*words)[0] == 0
    assert counts(tmp_path / "x.json") == {"small": 0, "medium": 0, "large": 6}
    assert call(*words, "--size-edges", "0.4", "0.6")[0] == 0
    assert counts(tmp_path / "x.json") == {"small": 0, "medium": 6, "large": 0}


def test_objects_in_boxes(call, pair, tmp_path):
    data = write_set(tmp_path / "set", 3, 32, 32, split=False)
    boxes = [ObjectBox("s0", 1, Window(0, 0, 32, 32)), ObjectBox("s1", 1, Window(0, 0, 32, 32))]
    write_boxes(data / "boxes.csv", boxes, ("ground", "square"))
    words = ("evaluate", pair[0], "--data", data, "--out", tmp_path / "x.json", "--size-edges", "0.6", "0.9")
    assert call(*words)[0] == 0
    assert counts(tmp_path / "x.json") == {"small": 0, "medium": 0, "large": 2}
    (data / "boxes.csv").write_text("image,class,x0,y0,x1,y1\ns0,circle,0,0,9,9\n")
    code, _, err = call(*words)
    assert code == 2
    assert "boxes.csv, line 2: there is no class 'circle'" in err


def test_objects_with_numbers(call, pair, tmp_path):
    """Numbers go before boxes."""
    data = write_set(tmp_path / "set", 2, 32, 32, split=False)
    write_boxes(data / "boxes.csv", [ObjectBox("s0", 1, Window(0, 0, 32, 32))], ("ground", "square"))
    (data / "objects").mkdir()
    for name in ("s0", "s1"):
        halves = np.repeat(np.array([1, 2], np.uint8), 16)[None].repeat(32, axis=0)
        Image.fromarray(halves).save(data / "objects" / f"{name}.png")
    words = ("evaluate", pair[0], "--data", data, "--out", tmp_path / "x.json")
    assert call(*words)[0] == 0
    assert 2 <= sum(counts(tmp_path / "x.json").values()) <= 4
    Image.fromarray(halves[:16]).save(data / "objects" / "s1.png")
    code, _, err = call(*words)
    assert code == 2
    assert "s1.png: has another size than its image" in err
    assert err.count("\n") == 1


def test_the_tolerance_and_the_band_are_settings(call, pair, finished, tmp_path):
    words = ("evaluate", pair[0], "--data", finished / "set", "--out", tmp_path / "x.json")
    found = []
    for more in ((), ("--boundary-tolerance", "0.2"), ("--band-width", "2")):
        assert call(*words, *more)[0] == 0
        found.append(read(tmp_path / "x.json"))
    assert found[1]["bf"] > found[0]["bf"]
    assert found[1]["band"] == found[0]["band"] != found[2]["band"]
    assert (found[1]["boundary_tolerance"], found[2]["band_width"]) == (0.2, 2)


def test_the_confusion_is_drawn(call, pair, finished, tmp_path):
    words = ("evaluate", pair[0], "--data", finished / "set", "--out")
    assert call(*words, tmp_path / "folder")[0] == 0
    with Image.open(tmp_path / "folder" / "confusion.png") as picture:
        assert min(picture.size) > 200
    assert call(*words, tmp_path / "x.json")[0] == 0
    assert (tmp_path / "x-confusion.png").is_file()
