import numpy as np
import pytest
from PIL import Image

from scratchnet.data import available_splits
from scratchnet.data.importing import read_export
from scratchnet.utils.errors import UserError
from tests.data.importing.test_formats import L_SHAPE, imported, labelme, rows, save_image, save_json, shape


def save_grey(path, rows_of, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(rows_of, np.uint8))
    if palette:
        image.putpalette([(37 * value) % 256 for value in range(768)])
    image.save(path)


def drawn(*values):
    mask = np.zeros((5, 7), np.uint8)
    for column, value in enumerate(values):
        mask[1:3, column] = value
    return mask


@pytest.mark.parametrize("suffix", ["_mask", "_L", "_gtFine_labelIds"])
@pytest.mark.parametrize("together", [True, False])
def test_names_with_a_suffix(tmp_path, suffix, together):
    source = tmp_path / "source"
    images, masks = (source, source) if together else (source / "images", source / "masks")
    for name in "ab":
        save_image(images / f"{name}.png")
        save_grey(masks / f"{name}{suffix}.png", drawn(1, 2, 255))
    report, dataset = imported(source, tmp_path / "out", classes=("ground", "cat", "dog"))
    assert (report.written, report.problems) == (2, ())
    assert rows(dataset.load(1)[1])[1] == "12x...."
    assert dataset.load_instances(0) is None


@pytest.mark.parametrize(
    ("values", "names", "expected", "said"),
    [
        ((1, 2), "gcd", "12.....", "values 0=0, 1=1, 2=2"),
        ((1, 255), "gcd", "1x.....", "values 0=0, 1=1, 255=ignored"),
        ((255,), "gc", "1......", "values 0=0, 255=1"),
        ((128, 255), "gcd", "12.....", "values 0=0, 128=1, 255=2"),
        ((40, 80, 120), "gcde", "123....", "values 0=0, 40=1, 80=2, 120=3"),
    ],
)
def test_values(tmp_path, values, names, expected, said):
    save_image(tmp_path / "images" / "a.png")
    save_grey(tmp_path / "masks" / "a.png", drawn(*values))
    assert said in read_export(tmp_path, classes=tuple(names)).summary
    assert rows(imported(tmp_path, tmp_path / "out", classes=tuple(names))[1].load(0)[1])[1] == expected


def test_class_names_of_a_file_and_missing_ones(tmp_path):
    save_image(tmp_path / "images" / "a.png")
    save_grey(tmp_path / "masks" / "a.png", drawn(128, 255))
    with pytest.raises(UserError, match="no class names; name the classes of the values 0, 128, 255 with classes"):
        read_export(tmp_path)
    (tmp_path / "classes.txt").write_text("ground\ncat\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"hold 3 values \(0, 128, 255\), but there are 2 classes"):
        read_export(tmp_path)
    (tmp_path / "classes.txt").write_text("ground\ncat\ndog\n", encoding="utf-8")
    assert read_export(tmp_path).classes == ("ground", "cat", "dog")


def test_jpeg_masks_of_two_classes(tmp_path):
    save_image(tmp_path / "images" / "a.png")
    save_grey(tmp_path / "masks" / "a_mask.jpg", drawn(*[255] * 7))
    dataset = imported(tmp_path, tmp_path / "out", classes=("g", "c"))[1]
    assert rows(dataset.load(0)[1])[1] == "1111111"
    with pytest.raises(UserError, match="whose compression changes class indices"):
        read_export(tmp_path, classes=("g", "c", "d"))


def test_voc(tmp_path):
    save_image(tmp_path / "JPEGImages" / "a.png")
    save_grey(tmp_path / "SegmentationClass" / "a.png", drawn(12, 12, 8, 255), palette=True)
    save_grey(tmp_path / "SegmentationObject" / "a.png", drawn(1, 2, 3, 255), palette=True)
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n", encoding="utf-8")
    assert "Pascal VOC" in read_export(tmp_path).summary
    dataset = imported(tmp_path, tmp_path / "out")[1]
    assert dataset.classes[12] == "dog"
    assert dataset.load(0)[1][1].tolist() == [12, 12, 8, 255, 0, 0, 0]
    assert len(np.unique(dataset.load_instances(0)[1, :3])) == 3
    assert available_splits(tmp_path / "out") == ["train"]


def test_masks_that_are_left_out(tmp_path):
    for name in "abc":
        save_image(tmp_path / "images" / f"{name}.png")
    save_grey(tmp_path / "masks" / "a_mask.png", drawn(1))
    save_grey(tmp_path / "masks" / "b.png", drawn(1)[1:])
    save_grey(tmp_path / "masks" / "d.png", drawn(1))
    report, dataset = imported(tmp_path, tmp_path / "out", classes=("g", "c"))
    assert dataset.names == ("a",)
    for words in ("a mask of 4×7 pixels", "c.png: has no mask", "d.png: a mask without an image"):
        assert any(words in problem for problem in report.problems)


def test_labels_in_json_go_before_images_that_are_named_like_masks(tmp_path):
    for name in ("a", "a_L"):
        save_image(tmp_path / f"{name}.png")
        save_json(tmp_path / f"{name}.json", labelme(f"{name}.png", shape("dog", L_SHAPE)))
    assert read_export(tmp_path).summary == "labelme: 2 JSON files"


def test_coloured_masks_without_a_list_of_colours(tmp_path):
    save_image(tmp_path / "images" / "a.png")
    (tmp_path / "masks").mkdir()
    colours = np.zeros((5, 7, 3), np.uint8)
    colours[0, 0] = 128, 0, 0
    Image.fromarray(colours).save(tmp_path / "masks" / "a.png")
    with pytest.raises(UserError, match=r"a\.png: a coloured mask, .* add classes\.txt with a line such as `cat 128"):
        imported(tmp_path, tmp_path / "out", classes=("background", "cat"))
