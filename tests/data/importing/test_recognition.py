import json
import zipfile

import pytest

from scratchnet.data.importing.recognition import import_advice

LABELME = {"version": "5", "flags": {}, "shapes": [], "imagePath": "a.jpg", "imageData": "x" * 100_000}
COCO = {"info": {}, "images": [], "annotations": [], "categories": []}
LABEL_STUDIO = [{"id": 1, "annotations": [{"id": 2, "completed_by": 1, "result": []}], "data": {"image": "a.jpg"}}]
CVAT = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n</annotations>'


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content", "tool"),
    [
        ("a.json", LABELME, "labelme"),
        ("images/a.JSON", LABELME, "labelme"),
        ("annotations/instances_val.json", COCO, "COCO"),
        ("project-1.json", LABEL_STUDIO, "Label Studio"),
        ("annotations.xml", CVAT, "CVAT"),
    ],
)
def test_exports_are_recognized(tmp_path, name, content, tool):
    root = tmp_path / "my export"
    path = put(root / name, content)
    assert import_advice(root) == (
        f"holds {name}, an export of {tool}, not a data set of images and masks; make one with "
        f"`scratchnet data import '{root}' --out 'my export-dataset'`"
    )
    assert import_advice(path).startswith(f"is an export of {tool}, not a data set")


def test_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    wanted = f"`scratchnet data import {tmp_path / 'task.zip'} --out task`"
    assert import_advice(tmp_path).endswith(wanted)
    assert import_advice(tmp_path / "task.zip").endswith(wanted)


@pytest.mark.parametrize(
    ("name", "content"),
    [("package.json", {"name": "x"}), ("a.xml", "<annotation><object/></annotation>"), ("notes.txt", '"shapes"')],
)
def test_other_files_are_no_export(tmp_path, name, content):
    put(tmp_path / name, content)
    assert import_advice(tmp_path) is None
    assert import_advice(tmp_path / "missing") is None


def test_a_folder_with_masks_is_a_data_set(tmp_path):
    put(tmp_path / "images" / "a.json", LABELME)
    (tmp_path / "Masks").mkdir()
    assert import_advice(tmp_path) is None


@pytest.mark.parametrize("words", [("data", "check"), ("train", "--data"), ("train", "--no-plan", "--data")])
def test_commands_name_the_import_first(tmp_path, capsys, words):
    from scratchnet.cli.main import main

    put(tmp_path / "set" / "images" / "a.json", LABELME)
    more = [] if words[0] == "data" else ["--out", str(tmp_path / "run")]
    assert main([*words, str(tmp_path / "set"), *more]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert f"`scratchnet data import {tmp_path / 'set'} --out set-dataset`" in said.err
