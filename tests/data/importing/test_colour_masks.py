import numpy as np
import pytest
from PIL import Image

from scratchnet.data import available_splits, read_boxes
from scratchnet.utils.errors import UserError
from tests.data.importing.test_formats import imported, rows, save_image

LABELS = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ndog:128,0,0::\n__ignore__:9,9,9::\ncat:0,128,7::\n"
COLOURS = {".": (0, 0, 0), "d": (128, 0, 0), "x": (9, 9, 9), "c": (0, 128, 7), "?": (1, 2, 3)}
DRAWN = ["dd..ccc", "d...ccc", ".....c.", "x......", "dd....."]


def save_colours(path, lines, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array([[COLOURS[letter] for letter in line] for line in lines], np.uint8))
    (image.convert("P", palette=Image.Palette.ADAPTIVE) if palette else image).save(path)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    save_image(folder / "JPEGImages" / "a.png")
    save_colours(folder / "SegmentationClass" / "a.png", DRAWN)
    (folder / "labelmap.txt").write_text(LABELS, encoding="utf-8")
    return folder


@pytest.mark.parametrize("palette", [False, True])
def test_classes(source, tmp_path, palette):
    save_colours(source / "SegmentationClass" / "a.png", DRAWN, palette)
    report, dataset = imported(source, tmp_path / "out")
    assert report.problems == ()
    assert dataset.classes == ("background", "dog", "cat")
    assert rows(dataset.load(0)[1]) == ["11..222", "1...222", ".....2.", "x......", "11....."]
    assert dataset.load_instances(0) is None
    assert not (tmp_path / "out" / "boxes.csv").exists()


def test_objects_and_splits(source, tmp_path):
    save_colours(source / "SegmentationObject" / "a.png", ["dd..ccc", "d...ccc", ".....c.", ".......", "xx....."])
    lists = source / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n", encoding="utf-8")
    dataset = imported(source, tmp_path / "out")[1]
    numbers = dataset.load_instances(0)
    assert len(np.unique(numbers)) == 4
    assert numbers[0, 0] == numbers[1, 0] != numbers[4, 0]
    boxes = read_boxes(tmp_path / "out" / "boxes.csv", dataset.classes)[0]
    assert {(b.label, tuple(b.box)) for b in boxes} == {(1, (0, 0, 2, 2)), (1, (4, 0, 1, 2)), (2, (0, 4, 3, 3))}
    assert available_splits(tmp_path / "out") == ["train"]
    assert (tmp_path / "out" / "splits" / "train.txt").read_text(encoding="utf-8") == "a\n"


@pytest.mark.parametrize("suffix", ["_mask", "_L", "_gtFine_color"])
def test_names_with_a_suffix(source, tmp_path, suffix):
    masks = source / "SegmentationClass"
    (masks / "a.png").rename(masks / f"a{suffix}.png")
    assert imported(source, tmp_path / "out")[0].written == 1


@pytest.mark.parametrize(
    ("name", "lines", "words"),
    [
        ("b.png", ["?......", *DRAWN[1:]], "b.png: the colour 1,2,3 is not in the list of colours"),
        ("b.png", DRAWN[1:], "a mask of 4×7 pixels for an image of 5×7"),
        ("c.png", DRAWN, "b.png: has no mask"),
        ("b.jpg", DRAWN, "whose compression changes colours"),
    ],
)
def test_images_that_are_left_out(source, tmp_path, name, lines, words):
    save_image(source / "JPEGImages" / "b.png")
    save_colours(source / "SegmentationClass" / name, lines)
    report, dataset = imported(source, tmp_path / "out")
    assert dataset.names == ("a",)
    assert any(words in problem for problem in report.problems)
    assert len(report.problems) == 1 + (name == "c.png")


def test_two_masks_and_two_classes_of_a_colour(source, tmp_path):
    save_colours(source / "SegmentationClass" / "a_L.png", DRAWN)
    with pytest.raises(UserError, match=r"a\.png and a_L\.png may both be its mask"):
        imported(source, tmp_path / "out")
    (source / "labelmap.txt").write_text(LABELS + "cow:128,0,0::\n", encoding="utf-8")
    with pytest.raises(UserError, match="the colour 128,0,0 belongs to two classes"):
        imported(source, tmp_path / "out")
