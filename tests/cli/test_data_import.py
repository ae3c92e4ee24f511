import shutil

from tests.data.importing.test_formats import L_SHAPE, labelme, save_image, save_json, shape
from tests.tiny import files


def test_import(call, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    for name in "abcdef":
        if name < "c":
            save_image(source / f"{name}.png")
        save_json(source / f"{name}.json", labelme(f"{name}.png", shape("cat", L_SHAPE)))
    code, said, err = call("data", "import", source, "--out", out)
    assert (code, err) == (1, "")
    lines = said.splitlines()
    assert lines[:3] == [
        "labelme: 6 JSON files; 2 classes",
        "classes: 0 background, 1 cat",
        f"wrote 2 images and masks to {out}",
    ]
    assert [line[:9] for line in lines[3:]] == ["left out:"] * 4
    assert lines[-1] == "left out: 1 more, 4 in all"
    assert call("data", "check", out)[0] == 0
    before = files(out)
    code, _, err = call("data", "import", source, "--out", out)
    assert code == 2
    assert "is not an empty folder" in err
    assert files(out) == before


def test_all_is_well(call, tmp_path):
    save_image(tmp_path / "a.png")
    save_json(tmp_path / "a.json", labelme("a.png", shape("cat", L_SHAPE)))
    assert call("data", "import", tmp_path / "a.json", "--out", tmp_path / "out")[0] == 0


def test_nothing_can_be_imported(call, tmp_path):
    save_json(tmp_path / "a.json", labelme("a.png", shape("cat", L_SHAPE)))
    code, _, err = call("data", "import", tmp_path, "--out", tmp_path / "out")
    assert code == 2
    assert err.count("\n") == 1
    assert "none of the 1 entries could be imported" in err
    assert not (tmp_path / "out").exists()


def test_an_archive(call, tmp_path):
    save_image(tmp_path / "source" / "a.png")
    for name in "ab":
        save_json(tmp_path / "source" / f"{name}.json", labelme(f"{name}.png", shape("cat", L_SHAPE)))
    archive = shutil.make_archive(tmp_path / "job", "zip", tmp_path / "source")
    code, said, _ = call("data", "import", archive, "--out", tmp_path / "out")
    assert code == 1
    assert said.splitlines()[0] == "labelme: 2 JSON files; 2 classes"
    assert said.splitlines()[-1].startswith(f"left out: {archive}/b.json: has no image")
