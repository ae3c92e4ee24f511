from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import VOC_CLASSES, available_splits, check_dataset, open_dataset, write_image, write_mask
from scratchnet.utils.errors import UserError


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """CamVid as the SegNet tutorial has it, its images saved as JPEG."""
    for number, split in enumerate(("train", "val")):
        for name in ("a_1", "b_2", "c_3"):
            write_image(tmp_path / split / f"{name}.jpg", np.full((4, 6, 3), 100 * number + ord(name[0]), np.uint8))
            write_mask(tmp_path / f"{split}annot" / f"{name}.png", np.full((4, 6), number, np.uint8))
    return tmp_path


def tutorial_lines(split: str, *names: str) -> str:
    return "".join(f"/SegNet/CamVid/{split}/{name}.png /SegNet/CamVid/{split}annot/{name}.png\n" for name in names)


def test_lists_of_another_computer_choose_and_order(camvid: Path) -> None:
    (camvid / "train.txt").write_text(tutorial_lines("train", "c_3", "a_1"))
    dataset = open_dataset(camvid, layout="camvid", split="train", classes=2)
    assert dataset.names == ("c_3", "a_1")
    image, mask = dataset.load(0)
    assert (image == 99).all()
    assert (mask == 0).all()
    assert open_dataset(camvid, layout="camvid", split="val", classes=2).names == ("a_1", "b_2", "c_3")
    whole = open_dataset(camvid, layout="camvid", classes=2)
    assert whole.names == ("train-c_3", "train-a_1", "val-a_1", "val-b_2", "val-c_3")
    assert check_dataset(camvid, layout="camvid", classes=2).splits == {"train": 2, "val": 3}


def test_a_list_needs_no_folder_of_its_name(camvid: Path) -> None:
    (camvid / "few.txt").write_text("D:\\CamVid\\val\\b_2.png D:\\CamVid\\valannot\\b_2.png\n")
    dataset = open_dataset(camvid, layout="camvid", split="few", classes=2)
    assert dataset.names == ("b_2",)
    assert dataset.load(0)[1].all()
    assert available_splits(camvid, "camvid") == ["train", "val"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (tutorial_lines("train", "a_1", "z_9"), "line 2: there is no image train/z_9"),
        ("x/train/a_1.png x/trainannot/z_9.png", "line 1: there is no mask trainannot/z_9"),
        ("a_1\n", "line 1: expected the paths of an image and its mask, got 'a_1'"),
        (tutorial_lines("train", "a_1", "a_1"), "line 2: 'a_1' is listed twice"),
        ("\n", "lists no images; write the paths"),
        (tutorial_lines("test", "a_1"), "test: no such folder"),
    ],
)
def test_wrong_lists(camvid: Path, text: str, words: str) -> None:
    (camvid / "train.txt").write_text(text)
    with pytest.raises(UserError, match=words):
        open_dataset(camvid, layout="camvid", split="train", classes=2)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Three photographs, two of them with palette masks that have an ignored border."""
    for number, name in enumerate(("2007_000032", "2007_000039", "2007_000063")):
        write_image(tmp_path / "JPEGImages" / f"{name}.jpg", np.full((5, 7, 3), 60 * number, np.uint8))
    (tmp_path / "SegmentationClass").mkdir()
    for name, label in (("2007_000032", 1), ("2007_000063", 20)):
        mask = np.zeros((5, 7), np.uint8)
        mask[1:4, 2:6], mask[2, 3:5] = 255, label
        image = Image.fromarray(mask)
        image.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
        image.save(tmp_path / "SegmentationClass" / f"{name}.png")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000032\n")
    (lists / "val.txt").write_text("2007_000063\n")
    (lists / "trainval.txt").write_text("2007_000063\n2007_000032\n")
    return tmp_path


def test_voc_layout(voc: Path) -> None:
    assert available_splits(voc, "voc") == ["train", "trainval", "val"]
    dataset = open_dataset(voc, layout="voc", split="val")
    assert dataset.classes == VOC_CLASSES
    assert (len(dataset.classes), dataset.classes[15], dataset.classes[20]) == (21, "person", "tvmonitor")
    assert sorted(set(dataset.load(0)[1].ravel().tolist())) == [0, 20, 255]
    assert open_dataset(voc, layout="voc", split="trainval").names == ("2007_000063", "2007_000032")
    assert open_dataset(voc, layout="voc").names == ("2007_000032", "2007_000063")  # photographs with boxes only


def test_voc_passes_the_check(voc: Path) -> None:
    report = check_dataset(voc, layout="voc")
    assert report.ok, report.text()
    assert report.splits == {"train": 1, "trainval": 2, "val": 1}
    assert (report.samples, report.counts.ignored) == (2, 20)
    (voc / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_000063\n2007_000032\n")
    assert "in the splits train, val" in check_dataset(voc, layout="voc").problems[0]


def test_voc_with_classes_of_its_own(voc: Path) -> None:
    names = [f"kind {index}" for index in range(21)]
    (voc / "classes.txt").write_text("\n".join(names))
    assert open_dataset(voc, layout="voc").classes == tuple(names)


def test_voc_lists_name_photographs_with_masks(voc: Path) -> None:
    (voc / "ImageSets" / "Segmentation" / "train.txt").write_text("2007_000039\n")
    with pytest.raises(UserError, match=r"train\.txt, line 1: there is no mask named '2007_000039'"):
        open_dataset(voc, layout="voc", split="train")
    with pytest.raises(UserError, match=r"test\.txt: no such file; choose one of train, trainval, val"):
        open_dataset(voc, layout="voc", split="test")
    with pytest.raises(UserError, match="JPEGImages: no such folder"):
        open_dataset(voc / "ImageSets", layout="voc")
