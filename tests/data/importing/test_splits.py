"""Exports with a file or a folder for each split, laid out as CVAT and Datumaro lay them out."""

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import available_splits
from scratchnet.data.importing import read_export
from scratchnet.utils.errors import UserError
from tests.data.importing.test_colour_masks import COLOURS, DRAWN, save_colours
from tests.data.importing.test_formats import annotation, coco, imported, rows, save_image, save_json

L_SHAPE = [[0, 0, 2, 0, 2, 1, 0, 1]]
XML = """<?xml version="1.0" encoding="utf-8"?>
<annotations><meta><task><labels><label><name>cat</name></label></labels></task></meta>
<image id="0" name="{name}.png" width="7" height="5">
<polygon label="{label}" points="0,0;2,0;2,1;0,1" z_order="0"/></image></annotations>"""


def names_of(folder, split):
    return (folder / "splits" / f"{split}.txt").read_text(encoding="utf-8").split()


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("folders", [("images", "images"), ("images/train", "images/val")])
def test_cvat_with_a_file_for_each_split(tmp_path, folders, name):
    source = tmp_path / "source"
    for split, folder, file in zip(("train", "val"), folders, ("a", name), strict=True):
        save_image(source / folder / f"{file}.png")
        (source / f"{split}.xml").write_text(XML.format(name=file, label="cat"), encoding="utf-8")
    dataset = imported(source, tmp_path / "out")[1]
    assert dataset.classes == ("background", "cat")
    assert names_of(tmp_path / "out", "train") == (["a"] if name == "b" else ["train-a"])
    assert names_of(tmp_path / "out", "val") == (["b"] if name == "b" else ["val-a"])
    assert rows(dataset.load(0)[1])[0] == "11....."


def test_cvat_files_of_no_split_and_of_other_labels(tmp_path):
    save_image(tmp_path / "images" / "a.png")
    for name, label in (("train", "cat"), ("my train", "cat")):
        (tmp_path / f"{name}.xml").write_text(XML.format(name="a", label=label), encoding="utf-8")
    with pytest.raises(UserError, match="of no split or of the same one"):
        imported(tmp_path, tmp_path / "out")
    (tmp_path / "my train.xml").unlink()
    (tmp_path / "val.xml").write_text(XML.format(name="a", label="dog"), encoding="utf-8")
    with pytest.raises(UserError, match=r"val\.xml: has other classes than .*train\.xml"):
        imported(tmp_path, tmp_path / "out")


def save_coco(folder, *files):
    for name in files:
        save_json(folder / f"{name}.json", coco(annotation(L_SHAPE)))


def test_coco_images_in_folders_of_the_splits(tmp_path):
    source = tmp_path / "source"
    save_coco(source / "annotations", "stuff_train", "stuff_val")
    for split, grey in (("train", 10), ("val", 200)):  # images of the same name
        (source / "images" / split).mkdir(parents=True)
        Image.new("L", (7, 5), grey).save(source / "images" / split / "a.png")
    dataset = imported(source, tmp_path / "out")[1]
    assert available_splits(tmp_path / "out") == ["train", "val"]
    assert dataset.names == ("train-a", "val-a")
    assert [int(dataset.load(index)[0].max()) for index in (0, 1)] == [10, 200]


def test_coco_files_of_other_tasks_are_left_out_and_named(tmp_path):
    source = tmp_path / "source"
    save_image(source / "images" / "train" / "a.png")
    save_coco(source / "annotations", "image_info_train", "instances_train", "stuff_train")
    assert "of the files instances_*, without image_info_train.json and 1 more" in read_export(source).summary
    assert rows(imported(source, tmp_path / "out")[1].load(0)[1])[0] == "11....."


def test_panoptic_files_are_refused_in_words(tmp_path):
    content = coco(annotation(L_SHAPE))
    content["annotations"] = [{"image_id": 7, "file_name": "a.png", "segments_info": [{"id": 1, "category_id": 3}]}]
    save_json(tmp_path / "panoptic_train.json", content)
    with pytest.raises(UserError, match="panoptic form, whose masks are in PNG files; export instances"):
        imported(tmp_path, tmp_path / "out")


def test_a_crowd_has_its_class_but_is_no_object(tmp_path):
    source = tmp_path / "source"
    save_image(source / "a.png")
    crowd = annotation({"size": [5, 7], "counts": [0, 2, 33]}, crowd=1)
    save_json(source / "labels.json", coco(crowd, annotation([[3, 0, 5, 0, 5, 1, 3, 1]])))
    report, dataset = imported(source, tmp_path / "out")
    (remark,) = report.remarks
    assert remark.startswith("labels.json: 1 of 2 annotations marked as crowds (iscrowd)")
    assert rows(dataset.load(0)[1])[:2] == ["1..11..", "1......"]
    assert np.unique(dataset.load_instances(0)).tolist() == [0, 2]


@pytest.mark.parametrize("second", ["a", "b"])
def test_coloured_masks_beside_their_images(tmp_path, second):
    source = tmp_path / "source"
    for split, name in (("train", "a"), ("default", second)):
        save_image(source / split / f"{name}.png")
        save_colours(source / f"{split}annot" / f"{name}.png", DRAWN)
    listed = zip((".", "d", "x", "c"), ("background", "dog", "__ignore__", "cat"), strict=True)
    lines = [f"{' '.join(map(str, COLOURS[letter]))} {name}\n" for letter, name in listed]
    (source / "label_colors.txt").write_text("".join(lines), encoding="utf-8")
    report, dataset = imported(source, tmp_path / "out")
    assert (report.written, report.problems) == (2, ())
    assert dataset.classes == ("background", "dog", "cat")
    assert dataset.names == (("a", "b") if second == "b" else ("default-a", "train-a"))
    assert rows(dataset.load(0)[1]) == ["11..222", "1...222", ".....2.", "x......", "11....."]
    assert available_splits(tmp_path / "out") == ["train"]  # "default" is CVAT's name for none
    with pytest.raises(UserError, match="a folder of images for each split"):
        read_export(source, images=source / "train")
