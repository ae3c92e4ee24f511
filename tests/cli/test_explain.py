import json
import re

import pytest

from scratchnet.data import write_image
from tests.tiny import sample


@pytest.fixture
def checkpoint(finished):
    return finished / "run" / "checkpoint.npz"


@pytest.fixture
def photo(tmp_path):
    write_image(tmp_path / "a <photo>.png", sample(1, 45, 70)[0])
    return tmp_path / "a <photo>.png"


def content(path):
    """What the page knows."""
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', path.read_text("utf-8"))[1])


def test_a_page_for_an_image_of_any_size(call, checkpoint, photo, tmp_path):
    page = tmp_path / "made" / "page.html"
    code, said, err = call("explain", checkpoint, photo, "--out", page, "--maps", "2")
    assert (code, err) == (0, "")
    assert "padded by reflection to 48×80 pixels" in said
    assert re.search(r"wrote .*page.html, 0.\d MB: 20 layers", said)
    text = page.read_text("utf-8")
    assert "a &lt;photo&gt;.png through bloodcell" in text
    found = content(page)
    assert found["layers"][0]["size"] == [48, 80, 3]
    assert found["layers"][-1]["size"] == [45, 70, 2]
    assert [len(layer["channels"]) for layer in found["layers"][1:6]] == [2] * 5
    assert [c["name"] for c in found["classes"]] == ["ground", "square"]


def test_a_part_and_a_class(call, checkpoint, photo, tmp_path):
    words = ["--size", "16x32", "--at", "40", "10", "--class", "ground", "--bn-statistics", "batch"]
    code, said, _ = call("explain", checkpoint, photo, "--out", tmp_path / "page.html", *words)
    assert code == 0
    assert "Of the image's 45×70 pixels, the network received only rows 32–44 and columns 0–31;" in said
    assert content(tmp_path / "page.html")["start"]["class"] == 0


def test_a_page_in_which_the_network_runs(call, checkpoint, photo, tmp_path):
    page = tmp_path / "live.html"
    code, said, err = call("explain", checkpoint, photo, "--out", page, "--live", "--maps", "2", "--size", "32")
    assert (code, err) == (0, "")
    assert re.search(r"wrote .*live.html, 0.\d MB: 19 layers", said)
    found = content(page)
    assert found["size"] == [32, 32]
    assert found["parameters"]["precision"] == "float32"
    assert [len(layer["channels"]) for layer in found["layers"][1:6]] == [2] * 5
    assert "class LiveNetwork" in page.read_text("utf-8")
    assert call("explain", checkpoint, photo, "--out", page, "--live")[0] == 0  # it may replace its own page


def test_four_answers_for_a_pixel(call, checkpoint, photo, tmp_path):
    page = tmp_path / "why.html"
    words = ["--why", "--at", "40", "10", "--class", "ground", "--size", "32"]
    code, said, err = call("explain", checkpoint, photo, "--out", page, *words)
    assert (code, err) == (0, "")
    first, second, third, fourth, last = said.splitlines()
    assert "Of the image's 45×70 pixels, the network received only rows 16–44 and columns 0–31;" in first
    assert "padded by reflection to 32×32 pixels" in second
    assert re.match(r"Row 40, column 10: the score of ground is -?\d+\.\d\d, its probability \d\.\d\d\.", third)
    assert re.search(r"patches of 4×4 pixels (that cover row|lower the score)", fourth)
    assert re.search(r"wrote .*why.html, 0.\d MB: four answers for one pixel", last)
    text = page.read_text("utf-8")
    assert "Row 40, column 10" in text
    assert "top left corner of this part" not in text
    assert text.count('class="ring"') == 6
    assert call("explain", checkpoint, photo, "--out", page, "--size", "32")[0] == 0  # it may replace its own page


def test_without_a_pixel_the_most_confident_one_is_explained(call, checkpoint, photo, tmp_path):
    code, said, _ = call("explain", checkpoint, photo, "--out", tmp_path / "why.html", "--why", "--class", "square")
    assert code == 0
    assert "the score of square is" in said


def test_networks_that_do_not_fit_into_a_page(call, checkpoint, photo, tmp_path, monkeypatch):
    from scratchnet.visualization.live import page, steps

    for patch, line in (
        ((page, "LIMIT", 1000), "--live: the page would have 0.1 MB, of at most 0 MB"),
        ((steps, "WRITERS", {}), "does not know the layer Conv2d (step 'conv1')"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(*patch)
            code, said, err = call("explain", checkpoint, photo, "--out", tmp_path / "live.html", "--live")
        assert (code, said) == (2, "")
        assert line in err
        assert err.count("\n") == 1
        assert not (tmp_path / "live.html").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--out", "page.txt"], "page.txt: the name of the page must end in .html"),
        (["--out", "p.html", "--maps", "0"], "--maps 0: expected 1 to 64"),
        (["--out", "p.html", "--class", "dog"], "--class dog: no such class; choose one of: ground, square"),
        (["--out", "p.html", "--size", "big"], "--size big: expected HxW, such as 128x128, or one number"),
        (["--out", "p.html", "--size", "8"], "--size 8x8: expected 16 to 544 pixels a side"),
        (["--out", "p.html", "--at", "45", "0"], "--at 45 0: the image has rows 0 to 44, columns 0 to 69"),
        (["--out", "p.html", "--size", "16", "--bn-statistics", "batch"], "batch norm: one pixel in a batch of one"),
        (
            ["--out", "p.html", "--live", "--class", "square"],
            "--class square: not with --live, whose page shows",
        ),
        (["--out", "p.html", "--why", "--live"], "--why and --live are different pages; leave out one of the two"),
        (["--out", "p.html", "--why", "--maps", "3"], "--maps 3: not with --why, whose page shows no layers"),
        (["--out", "p.html", "--why", "--at", "45", "0"], "--at 45 0: the image has rows 0 to 44, columns 0 to 69"),
        (["--out", "p.html", "--why", "--at", "0", "70"], "--at 0 70: the image has rows 0 to 44, columns 0 to 69"),
        (["--out", "p.html", "--why", "--class", "dog"], "--class dog: no such class; choose one of: ground, square"),
        (["--out", "p.html", "--live", "--size", "8"], "--size 8x8: expected 16 to 544 pixels a side"),
    ],
)
def test_what_a_user_gets_wrong(call, checkpoint, photo, tmp_path, monkeypatch, words, line):
    monkeypatch.chdir(tmp_path)
    code, said, err = call("explain", checkpoint, photo, *words)
    assert (code, said) == (2, "")
    assert line in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [photo.name]


def test_files_that_are_not_there_or_no_images(call, checkpoint, photo, tmp_path):
    page = tmp_path / "page.html"
    (tmp_path / "note.png").write_text("no image")
    for words, line in (
        ((tmp_path / "none.npz", photo), "none.npz: no such checkpoint"),
        ((checkpoint, tmp_path / "none.png"), "none.png: no such file"),
        ((checkpoint, tmp_path / "note.png"), "note.png: text, not a kind of image"),
        ((checkpoint, tmp_path), "is a folder, expected an image file"),
    ):
        code, _, err = call("explain", *words, "--out", page)
        assert code == 2
        assert line in err
        assert err.count("\n") == 1
    assert not page.exists()
