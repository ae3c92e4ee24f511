from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import available_splits, open_dataset, split_dataset, write_image, write_mask
from scratchnet.utils.errors import UserError


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split, prefix in (("train", ""), ("val", "ann_")):
        for name in ("0", "1"):
            write_image(tmp_path / split / f"{name}.png", rng.integers(0, 256, (4, 4, 3)).astype(np.uint8))
            write_mask(tmp_path / f"{split}annot" / f"{prefix}{name}.png", np.zeros((4, 4), np.uint8))
    return tmp_path


def test_pairs_are_matched_by_stem(make_folder: Callable[..., Path]) -> None:
    root = make_folder("ba")
    (root / "images" / ".DS_Store").touch()
    (root / "images" / "notes.txt").touch()
    (root / "images" / "a.png").rename(root / "images" / "a.PNG")
    dataset = open_dataset(root)
    assert dataset.names == ("a", "b")
    assert dataset.classes == ("background", "cell")
    image, mask = dataset.load(0)
    assert image.shape == (6, 8, 3)
    assert mask.shape == dataset.size(0) == (6, 8)


def test_split_lists_give_the_order(make_folder: Callable[..., Path]) -> None:
    root = make_folder()
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("c\n\na  \n")
    assert available_splits(root) == ["train"]
    assert open_dataset(root, split="train").names == ("c", "a")
    with pytest.raises(UserError, match=r"test\.txt.*choose one of train"):
        open_dataset(root, split="test")


def test_splits_may_leave_files_without_partner(make_folder: Callable[..., Path]) -> None:
    root = make_folder()
    (root / "masks" / "d.png").unlink()
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("a\n")
    assert open_dataset(root, split="train").names == ("a",)
    (root / "splits" / "train.txt").write_text("a\nd\n")
    with pytest.raises(UserError, match=r"train\.txt, line 2: there is no mask named 'd'"):
        open_dataset(root, split="train")


@pytest.mark.parametrize(
    ("text", "words"), [("a\n\nzebra\n", "line 3.*image.*'zebra'"), ("a\na\n", "line 2.*twice"), ("\n", "no images")]
)
def test_wrong_split_lists(make_folder: Callable[..., Path], text: str, words: str) -> None:
    root = make_folder()
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text(text)
    with pytest.raises(UserError, match=rf"train\.txt.*{words}"):
        open_dataset(root, split="train")


def test_files_without_partner_are_named(make_folder: Callable[..., Path]) -> None:
    root = make_folder()
    (root / "masks" / "b.png").unlink()
    with pytest.raises(UserError, match=r"b\.png: has no mask") as caught:
        open_dataset(root)
    assert "more" not in str(caught.value)
    (root / "masks" / "c.png").rename(root / "masks" / "z.png")
    with pytest.raises(UserError, match=r"b\.png: has no mask.*and 2 more"):
        open_dataset(root)
    for name in "bc":
        (root / "images" / f"{name}.png").unlink()
    with pytest.raises(UserError, match=r"z\.png: a mask without an image"):
        open_dataset(root)


def test_one_name_twice_is_refused(make_folder: Callable[..., Path]) -> None:
    root = make_folder()
    write_image(root / "images" / "a.jpg", np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(UserError, match=r"a\.png.*a\.jpg.*rename one"):
        open_dataset(root)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none/images: no such folder"):
        open_dataset(tmp_path / "none")
    (tmp_path / "images").mkdir()
    with pytest.raises(UserError, match=r"images: no image files.*\.png"):
        open_dataset(tmp_path)


def test_sizes_must_agree(make_folder: Callable[..., Path]) -> None:
    root = make_folder()
    write_mask(root / "masks" / "a.png", np.zeros((6, 9), np.uint8))
    with pytest.raises(UserError, match=r"images/a\.png is 6×8 .*masks/a\.png is 6×9"):
        open_dataset(root).load(0)


def test_classes_come_from_file_argument_or_format(make_folder: Callable[..., Path]) -> None:
    root = make_folder()
    assert open_dataset(root, classes=("no", "yes")).classes == ("no", "yes")
    assert open_dataset(root, classes=2).classes == ("background", "cell")
    with pytest.raises(UserError, match="2 class names but 3"):
        open_dataset(root, classes=3)
    (root / "classes.txt").unlink()
    assert open_dataset(root, classes=3).classes == ("class 0", "class 1", "class 2")
    assert open_dataset(root, mask_format="binary").classes == ("background", "foreground")
    with pytest.raises(UserError, match=r"classes\.txt.*one class name per line"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("text", "words"), [("a\na\n", "'a' occurs twice"), ("a\n", "1 classes, expected 2"), ("a\nb\nc\n", "`binary`")]
)
def test_wrong_classes(make_folder: Callable[..., Path], text: str, words: str) -> None:
    root = make_folder()
    (root / "classes.txt").write_text(text)
    with pytest.raises(UserError, match=words):
        open_dataset(root, mask_format="binary")


def test_camvid_layout(camvid: Path) -> None:
    assert available_splits(camvid, "camvid") == ["train", "val"]
    assert open_dataset(camvid, layout="camvid", split="val", classes=2).names == ("0", "1")
    whole = open_dataset(camvid, layout="camvid", classes=2)
    assert whole.names == ("train-0", "train-1", "val-0", "val-1")
    assert whole.load(3)[1].shape == (4, 4)
    with pytest.raises(UserError, match=r"no pair of folders test/ and testannot/; choose one of train, val"):
        open_dataset(camvid, layout="camvid", split="test", classes=2)
    with pytest.raises(UserError, match="no pair of folders"):
        open_dataset(camvid / "train", layout="camvid", classes=2)


def test_random_split_is_deterministic_and_complete(make_folder: Callable[..., Path]) -> None:
    dataset = open_dataset(make_folder("abcdefghij"))
    training, validation = split_dataset(dataset, 0.3, seed=1)
    assert (len(training), len(validation)) == (7, 3)
    assert sorted(training.names + validation.names) == list("abcdefghij")
    assert split_dataset(dataset, 0.3, seed=1) == (training, validation)
    assert split_dataset(dataset, 0.3, seed=2) != (training, validation)
    assert len(split_dataset(dataset, 0.001, seed=1)[1]) == 1
    with pytest.raises(UserError, match="between 0 and 1"):
        split_dataset(dataset, 1.0, seed=1)
    with pytest.raises(UserError, match="too few"):
        split_dataset(validation.__class__(dataset.samples[:1], dataset.classes), 0.5, seed=1)
