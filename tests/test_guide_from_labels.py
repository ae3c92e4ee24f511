"""The section *From labels to a table* of the guide: its commands run as written, and write what its text promises."""

import csv
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnet.cli.main import main
from scratchnet.data import image_size, write_image
from tests.labelled import photograph, write_coco, write_labelme
from tests.visualization.web_app.stand_in import write_runtime

pytest.importorskip("skimage")
pytest.importorskip("onnx")

PAGE = (Path(__file__).parent.parent / "docs" / "guide.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## From labels to a table\n")[1].split("\n## ")[0]
NEW = 4
"""Number of new photographs."""


def commands():
    """The words of every line of the section's shell blocks; the training with the text's flags for a trial."""
    (trial,) = re.findall(r"add `(--iterations [^`]*)`", SECTION)
    found = []
    for block in re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            found.append([*words, *trial.split()] if words[:2] == ["scratchnet", "train"] else words)
    return found


def promised():
    """The paths that the section's text names, one for each new photograph where it says NAME."""
    text = re.sub(r"```.*?```", "", SECTION, flags=re.DOTALL)
    spans = {span for span in re.findall(r"`([^`]+)`", text) if re.fullmatch(r"[\w./-]*[\w-](/|\.\w+)", span)}
    photos = [f"photo {number}" for number in range(NEW)]
    return sorted({span.replace("NAME", photo) for span in spans for photo in photos})


def test_the_section_has_every_step():
    steps = [" ".join(words[1:3] if words[1] == "data" else words[1:2]) for words in commands() if words[0] != "npm"]
    assert steps == [
        *("data import", "data check", "train", "evaluate", "segment", "measure", "data suggest", "export"),
    ]
    assert {"seeds/boxes.csv", "masks/photo 0-uncertainty.png", "table.csv", "app.html"} <= set(promised())


def test_a_coco_export_gives_the_same_set(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, export in (("labelme", write_labelme), ("coco", write_coco)):
        export(tmp_path / name, 8)
        for words in commands()[:2]:
            renamed = [{"labelled": name, "seeds": f"{name}-set"}.get(word, word) for word in words[1:]]
            assert main(renamed) == 0, capsys.readouterr()
    masks = [sorted((tmp_path / f"{name}-set" / "masks").iterdir()) for name in ("labelme", "coco")]
    assert len(masks[0]) == 8
    assert [path.name for path in masks[0]] == [path.name for path in masks[1]]
    for ours, theirs in zip(*masks, strict=True):
        np.testing.assert_array_equal(read_classes(ours), read_classes(theirs))


def test_the_commands_run_as_written(tmp_path, monkeypatch, capsys, quick_reports):
    monkeypatch.chdir(tmp_path)
    write_labelme(tmp_path / "labelled", 8)
    for number in range(NEW):
        write_image(tmp_path / "new-photos" / f"photo {number}.png", photograph(100 + number)[0])
    for words in commands():
        if words[0] == "npm":  # the page is opened by the tests of `export`; here it gets a stand-in
            write_runtime(tmp_path)
            continue
        assert main(words[1:]) == 0, (words, capsys.readouterr())
    said = capsys.readouterr().out
    assert "classes: 0 background, " in said
    assert "problems: none" in said
    assert [path for path in promised() if not Path(path).exists()] == []
    check_tables()


def read_classes(path):
    """Return the class names of every pixel of a mask."""
    names = np.array((path.parents[1] / "classes.txt").read_text(encoding="utf-8").split())
    with Image.open(path) as image:
        return names[np.asarray(image)]


def rows(path):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check_tables():
    """A row for each validation image, suggestion and object; most of the grains in the new photographs are found."""
    assert (len(rows("scores.csv")), len(rows("next.csv"))) == (2, 3)
    objects = rows("table.csv")
    assert {row["image"] for row in objects} == {f"photo {number}.png" for number in range(NEW)}
    assert {row["class"] for row in objects} <= {"wheat", "chaff"}
    assert NEW * 3 - 2 <= len([row for row in objects if row["class"] == "wheat"]) <= NEW * 4
    areas = [float(row["area_um2"]) / float(row["area_px"]) for row in objects]
    assert areas == pytest.approx([625] * len(objects))
    assert sum(int(row["objects"]) for row in rows("table/summary.csv")) == len(objects)
    assert image_size("masks/photo 0.png") == photograph(100)[0].shape[:2]
