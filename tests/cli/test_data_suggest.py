import csv
import json

import pytest

from scratchnet.data import write_image
from tests.tiny import sample


@pytest.fixture
def checkpoint(finished):
    return finished / "run" / "checkpoint.npz"


@pytest.fixture
def photos(tmp_path):
    """Four images, of which d.png is a copy of a.png."""
    for seed, name in ((1, "a"), (2, "b"), (3, "c"), (1, "d")):
        write_image(tmp_path / "photos" / f"{name}.png", sample(seed, 32, 40)[0])
    return tmp_path / "photos"


def test_the_list_and_its_table(call, checkpoint, photos, tmp_path):
    out = tmp_path / "next.csv"
    words = ["data", "suggest", checkpoint, photos, "--uncertainty", 3]
    code, said, err = call(*words, "--out", out)
    assert (code, err) == (0, "")
    assert "4 images, 3 random flips, scales and shifts of the image, because the network has no dropout" in said
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    assert {row["image"] for row in rows} == {str(photos / f"{name}.png") for name in "abcd"}
    first, *_, last = rows
    assert float(first["mutual_information"]) >= float(rows[1]["mutual_information"]) * 0.1
    assert (float(first["similarity"]), float(last["similarity"])) == (0.0, 1.0)
    assert {first["image"][-5], last["image"][-5]} <= set("abcd")
    assert last["image"][-5] in "ad"  # one of the copies
    said_again = call(*words)[1]
    assert said_again.splitlines()[:8] == said.splitlines()[:8]


def test_count_and_json(call, checkpoint, photos):
    code, said, _ = call("data", "suggest", checkpoint, photos, "--uncertainty", 2, "--count", 2, "--json")
    found = json.loads(said)
    assert code == 0
    assert found["images"] == 4
    assert [row["rank"] for row in found["suggestions"]] == [1, 2]
    assert all(0 <= row["mutual_information"] <= row["entropy"] <= 0.7 for row in found["suggestions"])


def test_images_with_masks_are_left_out(call, checkpoint, finished, photos):
    images = finished / "set" / "images"
    words = ["data", "suggest", checkpoint, images, photos, "--uncertainty", 2, "--data", finished / "set"]
    code, said, _ = call(*words)
    assert code == 0
    assert "has masks of 6 of the 10 images, which are left out" in said
    assert str(images) not in said.split("similarity  image")[1]
    code, _, err = call("data", "suggest", checkpoint, images, "--data", finished / "set")
    assert code == 2
    assert "has masks of all 6 images" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--count 0", "--count 0: expected 1 to 1000000"),
        ("--uncertainty 1", "--uncertainty 1: expected 2 to 1000 passes"),
        ("--layout voc", "--layout: has no effect without --data"),
        ("--crf", "--crf: cannot be combined with --uncertainty"),
        ("--flip", "--flip: cannot be combined with --uncertainty for a network without dropout"),
    ],
)
def test_what_does_not_fit_is_refused(call, checkpoint, photos, words, said):
    code, _, err = call("data", "suggest", checkpoint, photos, *words.split())
    assert (code, err.count("\n")) == (2, 1)
    assert said in err
